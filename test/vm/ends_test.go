package vm

import (
	"os/exec"
	"strings"
	"testing"
)

// awaitConsole waits for the console's driver, which comes after the entry point.
const awaitConsole = "until grep -q hvc0 /proc/consoles; do sleep 0.1; done; "

// panicked is what the monitor says of a panic by sysrq.
const panicked = "no exit status came from the guest: the guest's kernel panicked; its kernel said: Kernel panic - not syncing: sysrq triggered crash"

// However a machine ends without the status of its entry point, that is a
// failure with its reason, and never 0.
func TestEnds(t *testing.T) {
	sysrq := func(key string) string { return awaitConsole + "echo " + key + " >/proc/sysrq-trigger; sleep 60" }
	for _, c := range []struct {
		name, script, reason string
		edit                 func(object)
	}{
		{"panic", sysrq("c"), panicked + "\n", nil},
		{"reboot", sysrq("b"), "the guest reset its processor (a triple fault, or a reboot); its kernel said: sysrq: Resetting", nil},
		{"power off", sysrq("o"), "the guest powered itself off; its kernel said: sysrq: Power Off", nil},
		{"boot timeout", "true", "the guest did not come up within 1 s", func(c object) { annotate(c, "org.ostia.vm.boot_seconds", "1") }},
		{"mount failure", "true", "mounts[2] /dev/pts: new devpts: no such device", func(c object) { kernelParameter(c, "initcall_blacklist=init_devpts_fs") }},
		{"bad cwd", "true", "process.cwd /bin/busybox: enter: not a directory", func(c object) { process(c)["cwd"] = "/bin/busybox" }},
		{"channel closed early", "echo virtio1 >/sys/bus/virtio/drivers/vmw_vsock_virtio_transport/unbind; sleep 60",
			"the agent in the guest is lost: the guest has ended the connection", writableSys},
		// On its one processor nothing runs but this, not even the agent.
		{"agent lost", "sleep 2; echo -1 >/proc/sys/kernel/sched_rt_runtime_us; while :; do :; done",
			"the guest hangs: its agent has not answered for 9 s", func(c object) {
				annotate(c, "org.ostia.vm.answer_seconds", "9")
				process(c)["scheduler"] = object{"policy": "SCHED_FIFO", "priority": 99}
			}},
		{"no agent", "true", "the guest reset its processor", func(c object) { kernelParameter(c, "rdinit=/nosuch") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name != "panic" {
				full(t)
			}
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

// writableSys gives the program the guest's sysfs to write to.
func writableSys(c object) {
	for _, m := range c["mounts"].([]any) {
		if m := m.(object); m["destination"] == "/sys" {
			m["options"] = []string{"nosuid", "noexec", "nodev"}
		}
	}
}

// capabilities gives the program more of them.
func capabilities(c object, names ...string) {
	for _, set := range []string{"bounding", "effective", "permitted"} {
		all := process(c)["capabilities"].(object)
		for _, name := range names {
			all[set] = append(all[set].([]any), name)
		}
	}
}

// A program that may reboot ends itself with it, as in any pid namespace
// (reboot(2)), and not with 0.
func TestReboot(t *testing.T) {
	full(t)
	for command, status := range map[string]int{"reboot -f": 129, "poweroff -f": 130} {
		r := runScript(t, "", "exec "+command, func(c object) { capabilities(c, "CAP_SYS_BOOT") })
		r.want(t, status, "")
	}
}

// Why a machine has ended that nobody waits for is in its state and in what
// explain says.
func TestDetachedEnd(t *testing.T) {
	dir := bundle(t, awaitConsole+"echo up; echo c >/proc/sysrq-trigger; sleep 60", func(c object) {
		c["linux"].(object)["readonlyPaths"] = []string{}
	})
	id := name(t)
	start(t, id, dir, "up\n")
	waitFor(t, "the end", func() bool { return stopped(t, id) })
	if s := ostia(t, "", "state", id).stdout; !strings.Contains(s, `"fault": "`+panicked+`"`) {
		t.Errorf("state %s", s)
	}
	if s := ostia(t, "", "explain", id).stdout; !strings.Contains(s, "why       the container's machine failed: "+panicked) {
		t.Errorf("explain %s", s)
	}
}

func kernelParameter(c object, p string) {
	c["vm"] = object{"kernel": object{"parameters": []string{p}}}
}

// A process that the guest's memory is too small for is killed by its kernel,
// and that is its status.
func TestOutOfMemory(t *testing.T) {
	full(t)
	r := runScript(t, "", "exec tail /dev/zero", func(c object) { annotate(c, "krun.ram_mib", "128") })
	if r.status != 137 {
		t.Errorf("exit status %d, stderr %q", r.status, r.stderr)
	}
}

// A monitor that is killed gives no status.
func TestMonitorKilled(t *testing.T) {
	full(t)
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
