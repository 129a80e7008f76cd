package vm

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A program's streams are its own, whole and apart, and its status comes out.
func TestRun(t *testing.T) {
	r := runScript(t, strings.Repeat("0123456789abcde\n", 20000),
		"cat | md5sum; echo wrong >&2; seq 100000 | tail -n 1; exit 7", nil)
	r.want(t, 7, "71c284bece05ddaa099ffad2854c2f2a  -\n100000\n")
	if r.stderr != "wrong\n" {
		t.Errorf("stderr %q", r.stderr)
	}
}

// Who the process is, and what it may do, is what config.json says.
func TestIdentity(t *testing.T) {
	script := `id; umask; pwd; echo "$GREETING"; ulimit -n; hostname; stat -c '%u:%g' /home; touch /home/x; stat -c '%u:%g %a' /home/x
grep -E '^(SigIgn|CapEff|CapBnd|CapInh|CapAmb|NoNewPrivs)' /proc/self/status; cat /proc/1/comm`
	var home string
	r := runScript(t, "", script, func(c object) {
		p := process(c)
		p["user"] = object{"uid": 1000, "gid": 1001, "additionalGids": []int{20, 30}, "umask": 0o27}
		p["cwd"] = "/home"
		p["env"] = []string{"PATH=/bin", "GREETING=hello there"}
		p["rlimits"] = []object{{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 99}}
		p["capabilities"] = object{"bounding": []string{"CAP_KILL", "CAP_CHOWN"}, "permitted": []string{"CAP_KILL"},
			"effective": []string{"CAP_KILL"}, "inheritable": []string{"CAP_KILL"}, "ambient": []string{"CAP_KILL"}}
		c["hostname"] = "machine"
		home = t.TempDir()
		check(t, os.Chown(home, 1000, 1001))
		addMount(c, object{"destination": "/home", "type": "bind", "source": home, "options": []string{"rbind", "rw"}})
	})
	r.want(t, 0, "uid=1000 gid=1001 groups=20,30\n0027\n/home\nhello there\n77\nmachine\n1000:1001\n1000:1001 640\n"+
		"SigIgn:\t0000000000000000\nCapInh:\t0000000000000020\nCapEff:\t0000000000000020\nCapBnd:\t0000000000000021\nCapAmb:\t0000000000000020\nNoNewPrivs:\t1\ncat\n")
	if st, err := os.Stat(home + "/x"); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("the file on the host: %v %v", st, err)
	}
}

// A volume is the host's, with the rights that its mount has.
func TestVolumes(t *testing.T) {
	rw, ro, shm := t.TempDir(), t.TempDir(), t.TempDir()
	check(t, os.WriteFile(ro+"/in", []byte("from the host\n"), 0o644))
	check(t, os.WriteFile(ro+"/program", []byte("#!/bin/sh\necho ran\n"), 0o755))
	script := `cat /ro/in; echo x >/ro/in || echo refused; /ro/program || echo not run
echo from the guest >/rw/out; mkdir /rw/d; ln /rw/out /rw/d/hard; ln -s out /rw/soft; mv /rw/d/hard /rw/moved; rm -r /rw/d
mkdir /rw/many; for i in $(seq 100); do :>/rw/many/$i; done; ls /rw/many | wc -l; rm -r /rw/many
seq 200000 >/rw/large; md5sum </rw/large; dd if=/dev/zero of=/tmp/t bs=1M count=8 2>/dev/null; ls -l /tmp/t | wc -l; ls /rw
echo shared >/dev/shm/a; cat /tmp/below/a; ls /tmp`
	r := runScript(t, "", script, func(c object) {
		addMount(c, object{"destination": "/rw", "type": "bind", "source": rw, "options": []string{"rbind", "rw"}})
		addMount(c, object{"destination": "/ro", "type": "bind", "source": ro, "options": []string{"rbind", "ro", "noexec"}})
		addMount(c, object{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": []string{"mode=1777"}})
		// Below file systems that are the guest's: podman has one at /dev/shm.
		mounts := c["mounts"].([]any)
		c["mounts"] = slices.DeleteFunc(mounts, func(m any) bool { return m.(object)["destination"] == "/dev/shm" })
		for _, below := range []string{"/dev/shm", "/tmp/below"} {
			addMount(c, object{"destination": below, "type": "bind", "source": shm, "options": []string{"rbind", "rw"}})
		}
	})
	r.want(t, 0, "from the host\nrefused\nnot run\n100\n0e10426a1d5bddffcef02f1345787128  -\n1\nlarge\nmoved\nout\nsoft\nshared\nbelow\nt\n")
	text, err := os.ReadFile(rw + "/moved")
	if err != nil || string(text) != "from the guest\n" {
		t.Errorf("on the host: %q %v", text, err)
	}
}

// A machine has the processors and the memory that it is given.
func TestSize(t *testing.T) {
	memory := `cat /proc/meminfo | grep MemTotal | { read _ n _; [ $n -lt 131072 ] && echo small; }; nproc`
	runScript(t, "", memory, func(c object) {
		annotate(c, "krun.cpus", "4")
		annotate(c, "krun.ram_mib", "128")
	}).want(t, 0, "small\n4\n")
}

// The most processors that a machine may have.
func TestMostProcessors(t *testing.T) {
	full(t)
	runScript(t, "", "nproc", func(c object) { annotate(c, "krun.cpus", "16") }).want(t, 0, "16\n")
}

// An image's own wishes are not read.
func TestImageHasNoSay(t *testing.T) {
	full(t)
	dir := bundle(t, "grep -cE 'svm|vmx' /proc/cpuinfo; nproc", nil)
	check(t, os.WriteFile(dir+"/rootfs/.krun_vm.json", []byte(`{"kernel_path":"/evil","cpus":4,"ram_mib":4096}`), 0o644))
	r := ostia(t, "", "run", "--bundle", dir, name(t))
	r.want(t, 0, "0\n1\n")
	if !strings.Contains(r.stderr, ".krun_vm.json in the image is ignored") {
		t.Errorf("stderr %q", r.stderr)
	}
}

// What krun has and this handler has not is refused, and an image has no say.
func TestAnnotations(t *testing.T) {
	for _, c := range []struct{ name, value, reason string }{
		{"krun.gpu_flags", "1", "annotations krun.gpu_flags: there is no GPU"},
		{"krun.cpus", "17", "17 vCPUs: from 1 to 16 are possible"},
		{"krun.ram_mib", "8", "8 MiB of guest memory: at least 96"},
		{"krun.ram_mib", "much", `annotations krun.ram_mib "much": not a number`},
		{"org.ostia.vm.kernel", "/etc/hostname", "guest kernel /etc/hostname: neither a bzImage nor an ELF vmlinux"},
		{"org.ostia.vm.kernel", "/nowhere", "guest kernel: open /nowhere: no such file or directory"},
	} {
		r := runScript(t, "", "true", func(config object) { annotate(config, c.name, c.value) })
		if r.status != 125 || !strings.Contains(r.stderr, c.reason) {
			t.Errorf("%s=%s: exit status %d, stderr %q", c.name, c.value, r.status, r.stderr)
		}
	}
}

// What is called krun or ostia-vm has this handler without an option.
func TestNames(t *testing.T) {
	dir := bundle(t, "true", func(c object) { annotate(c, "krun.gpu_flags", "1") })
	for _, called := range []string{"krun", "ostia-vm"} {
		link := filepath.Join(t.TempDir(), called)
		check(t, os.Symlink(runtime, link))
		out, err := exec.Command(link, "--root", state, "run", "--bundle", dir, name(t)).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "microVM handler: annotations krun.gpu_flags: there is no GPU") {
			t.Errorf("%s: %v, %s", called, err, out)
		}
	}
}

// A kernel's messages are on standard error if they are asked for.
func TestSerial(t *testing.T) {
	full(t)
	r := runScript(t, "", "exit 7", func(c object) {
		annotate(c, "org.ostia.vm.serial", "1")
		annotate(c, "org.ostia.vm.boot_seconds", "170")
	})
	r.want(t, 7, "")
	for _, word := range []string{"Hypervisor detected: KVM", "Run /init as init process"} {
		if !strings.Contains(r.stderr, word) {
			t.Errorf("stderr without %q: %q", word, r.stderr)
		}
	}
}

// The administrator's file names the kernel where nothing else does.
func TestAdministratorsKernel(t *testing.T) {
	if os.Getenv("OSTIA_GUEST") == "" {
		t.Skip("writes to /etc: in the guest of test/guest only")
	}
	check(t, os.MkdirAll("/etc/ostia", 0o755))
	for text, reason := range map[string]string{
		`{"kernel": "/nowhere"}`: "guest kernel: open /nowhere: no such file or directory",
		`{"cpus": 4}`:            `/etc/ostia/vm.json: json: unknown field "cpus"`,
	} {
		check(t, os.WriteFile("/etc/ostia/vm.json", []byte(text), 0o644))
		t.Cleanup(func() { os.Remove("/etc/ostia/vm.json") })
		r := runScript(t, "", "true", nil)
		if r.status != 125 || !strings.Contains(r.stderr, reason) {
			t.Errorf("%s: exit status %d, stderr %q", text, r.status, r.stderr)
		}
	}
}

// What a kernel's first machine boots from is made by a program that lies beside
// the others: one that is missing or fails is an error of create, and is told apart.
func TestOstiaKernel(t *testing.T) {
	dir, installed := t.TempDir(), runtime
	for _, part := range []string{"", "-vmm"} {
		program, err := os.ReadFile(installed + part)
		check(t, err)
		check(t, os.WriteFile(dir+"/ostia"+part, program, 0o755)) // another file: it has made no entry yet
	}
	runtime = dir + "/ostia"
	t.Cleanup(func() { runtime = installed })
	for program, reason := range map[string]string{
		"": dir + "/ostia-kernel: no such file or directory: it belongs beside ostia-vmm: install it there",
		"#!/bin/sh\necho the disk is full >&2\nexit 1\n": ": the disk is full\n",
		"#!/bin/sh\nkill -9 $$\n":                        dir + "/ostia-kernel: signal 9 (killed)",
	} {
		if program != "" {
			check(t, os.WriteFile(dir+"/ostia-kernel", []byte(program), 0o755))
		}
		r := runScript(t, "", "true", nil)
		if r.status != 125 || !strings.Contains(r.stderr, reason) {
			t.Errorf("%q: exit status %d, stderr %q, want %q", program, r.status, r.stderr, reason)
		}
		_ = os.Remove(dir + "/ostia-kernel") // there is none the first time
	}
}

// A boot needs the monitor seldom, and --trace tells its phases.
func TestRunTrace(t *testing.T) {
	dir := bundle(t, "exit 3", nil)
	ostia(t, "", "run", "--trace", dir+"/trace", "--bundle", dir, name(t)).want(t, 3, "")
	text, err := os.ReadFile(dir + "/trace")
	check(t, err)
	var trace struct {
		TraceEvents []struct {
			Name string
			Tid  int
			Dur  float64
		}
	}
	check(t, json.Unmarshal(text, &trace))
	var phases []string
	total := 0
	for _, e := range trace.TraceEvents {
		if e.Tid != 3 || e.Dur == 0 {
			continue
		}
		phase, count, _ := strings.Cut(e.Name, " (")
		phases = append(phases, phase)
		exits := 0
		_, _ = fmt.Sscanf(count, "%d exits", &exits) // the monitor's own phases have none
		if phase != "guest: run the entry point" {
			total += exits
		}
		t.Logf("%s: %.0f ms", e.Name, e.Dur/1000)
	}
	if got := strings.Join(phases, ", "); got != "monitor: start, monitor: join the network, monitor: build the machine, monitor: give up all rights but those to run it, guest: boot the kernel, guest: mount the tree and start the entry point, guest: run the entry point" {
		t.Errorf("phases %s", got)
	}
	if total == 0 || total > 300 {
		t.Errorf("%d exits to the monitor, want at most 300", total)
	}
}

// A libkrunfw is a kernel's source, too: two processors, input, exec, a signal and
// the network's devices are there, and nothing else can be written to.
func TestLibkrunfw(t *testing.T) {
	full(t)
	libraries, err := filepath.Glob(os.Getenv("OSTIA_CACHE") + "/libkrunfw/usr/lib/*/libkrunfw.so.*")
	check(t, err)
	if len(libraries) == 0 {
		t.Fatal("no libkrunfw: test/deps vm unpacks it")
	}
	// On one emulated processor this kernel takes three times as long as Debian's, and as long again with a second.
	choose := func(c object) {
		annotate(c, "org.ostia.vm.kernel", libraries[0])
		annotate(c, "org.ostia.vm.boot_seconds", "580")
	}
	r := ostiaWithin(t, 10*time.Minute, "typed\n", "run", "--bundle", bundle(t, "nproc; cat; echo wrong >&2; mount -t virtiofs agent /data && touch /data/x; exit 7", func(c object) {
		choose(c)
		annotate(c, "krun.cpus", "2")
		capabilities(c, "CAP_SYS_ADMIN")
	}), name(t))
	r.want(t, 7, "2\ntyped\n")
	if !strings.Contains(r.stderr, "wrong\n") || !strings.Contains(r.stderr, "touch: /data/x: Read-only file system\n") {
		t.Errorf("stderr %q", r.stderr)
	}
	dir := bundle(t, "trap 'echo term; exit 3' TERM; echo up; while :; do sleep 1; done", choose)
	id := name(t)
	output := start(t, id, dir, "up\n")
	ostia(t, "", "exec", id, "sh", "-c", "cat /proc/sys/kernel/ostype; exit 9").want(t, 9, "Linux\n")
	ostia(t, "", "kill", id, "TERM").want(t, 0, "")
	waitFor(t, "the end", func() bool { return stopped(t, id) })
	if text, err := os.ReadFile(output); err != nil || string(text) != "up\nterm\n" {
		t.Errorf("output %q, %v", text, err)
	}
}
