package vm

import (
	"os/exec"
	"strings"
	"testing"
)

// However a machine ends without the status of its entry point, that is a
// failure with its reason, and never 0.
func TestEnds(t *testing.T) {
	sysrq := func(key string) string { return "echo " + key + " >/proc/sysrq-trigger; sleep 60" }
	for _, c := range []struct {
		name, script, reason string
		edit                 func(object)
	}{
		{"panic", sysrq("c"), "the guest's kernel panicked", nil},
		{"reboot", sysrq("b"), "the guest reset its processor", nil},
		{"power off", sysrq("o"), "the guest powered itself off", nil},
		{"boot timeout", "true", "the guest did not come up within 1 s", func(c object) { annotate(c, "org.ostia.vm.boot_seconds", "1") }},
		{"mount failure", "true", "mounts[2] /dev/pts: new devpts: no such device", func(c object) { kernelParameter(c, "initcall_blacklist=init_devpts_fs") }},
		{"no agent", "true", "the guest reset its processor", func(c object) { kernelParameter(c, "rdinit=/nosuch") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := runScript(t, "", c.script, func(config object) {
				config["linux"].(object)["readonlyPaths"] = []string{}
				if c.edit != nil {
					c.edit(config)
				}
			})
			if r.status != 125 || !strings.Contains(r.stderr, c.reason) || strings.Count(r.stderr, "\n") != 1 {
				t.Errorf("exit status %d, stderr %q, want 125 and %q", r.status, r.stderr, c.reason)
			}
		})
	}
}

func kernelParameter(c object, p string) {
	c["vm"] = object{"kernel": object{"parameters": []string{p}}}
}

// A process that the guest's memory is too small for is killed by its kernel,
// and that is its status.
func TestOutOfMemory(t *testing.T) {
	r := runScript(t, "", "exec tail /dev/zero", func(c object) { annotate(c, "krun.ram_mib", "128") })
	if r.status != 137 {
		t.Errorf("exit status %d, stderr %q", r.status, r.stderr)
	}
}

// A monitor that is killed gives no status.
func TestMonitorKilled(t *testing.T) {
	dir := bundle(t, "echo up; sleep 1000", nil)
	id := name(t)
	c := exec.Command(runtime, "--root", state, "--handler", "vm", "run", "--bundle", dir, id)
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.StdoutPipe()
	check(t, err)
	check(t, c.Start())
	word := make([]byte, 3)
	_, err = out.Read(word)
	check(t, err)
	ostia(t, "", "kill", id, "KILL").want(t, 0, "")
	_ = c.Wait()
	if c.ProcessState.ExitCode() != 137 || !strings.Contains(stderr.String(), "its monitor was killed") {
		t.Errorf("exit status %d, stderr %q", c.ProcessState.ExitCode(), stderr.String())
	}
	nothingLeft(t, id)
}
