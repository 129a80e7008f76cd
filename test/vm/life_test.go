package vm

import (
	"os"
	"strings"
	"testing"
)

// The commands work on a machine as on any container.
func TestLife(t *testing.T) {
	dir := bundle(t, `trap 'echo told; exit 3' TERM; echo up; while :; do sleep 1; done`, nil)
	id := name(t)
	output := start(t, id, dir, "up\n")
	if s := ostia(t, "", "state", id).stdout; !strings.Contains(s, `"status": "running"`) {
		t.Errorf("state %s", s)
	}
	ostia(t, "typed\n", "exec", id, "sh", "-c", "id; cat; echo wrong >&2; exit 5").want(t, 5, "uid=0 gid=0\ntyped\n")
	ostia(t, "", "exec", "--user", "1000:1000", "--cwd", "/tmp", "--env", "A=b", id, "sh", "-c", "id; pwd; echo $A").want(t, 0, "uid=1000 gid=1000\n/tmp\nb\n")
	ostia(t, "", "exec", id, "sh", "-c", "kill -9 $$").want(t, 137, "")
	ostia(t, "", "exec", id, "nosuch").want(t, 127, "")
	ostia(t, "", "exec", id, "/etc").want(t, 126, "")
	ostia(t, "", "pause", id).want(t, 0, "")
	ostia(t, "", "resume", id).want(t, 0, "")
	ostia(t, "", "kill", id, "TERM").want(t, 0, "")
	waitFor(t, "the end", func() bool { return stopped(t, id) })
	text, err := os.ReadFile(output)
	if check(t, err); string(text) != "up\ntold\n" {
		t.Errorf("output %q", text)
	}
	ostia(t, "", "delete", id).want(t, 0, "")
	nothingLeft(t, id)
}

// create waits for start, and delete removes what has not run.
func TestCreate(t *testing.T) {
	dir := bundle(t, "echo ran", nil)
	id := name(t)
	ostia(t, "", "create", "--bundle", dir, id).want(t, 0, "")
	if s := ostia(t, "", "state", id).stdout; !strings.Contains(s, `"status": "created"`) {
		t.Errorf("state %s", s)
	}
	ostia(t, "", "delete", id).want(t, 0, "")
	nothingLeft(t, id)
}

// What is asked while the guest boots is answered when its entry point runs.
func TestAskedEarly(t *testing.T) {
	dir := bundle(t, "sleep 1000", nil)
	id := name(t)
	ostia(t, "", "create", "--bundle", dir, id).want(t, 0, "")
	ostia(t, "", "start", id).want(t, 0, "")
	ostia(t, "", "exec", id, "echo", "here").want(t, 0, "here\n")
	if r := ostia(t, "", "ps", id); r.status != 0 || !strings.Contains(r.stdout, "sleep 1000") {
		t.Errorf("ps: exit status %d, stdout %q, stderr %q", r.status, r.stdout, r.stderr)
	}
	ostia(t, "", "delete", "--force", id).want(t, 0, "")
	nothingLeft(t, id)
}

// The entry point is judged before there is a machine, as in a container.
func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		args   []string
		status int
		words  string
	}{
		{[]string{"/etc"}, 126, "is a directory: permission denied"},
		{[]string{"/bin/nosuch"}, 127, "no such file or directory"},
		{[]string{"nosuch"}, 127, "executable file not found in $PATH"},
		{[]string{"/etc/plain"}, 126, "permission denied"},
	} {
		dir := bundle(t, "", func(config object) { process(config)["args"] = c.args })
		check(t, os.WriteFile(dir+"/rootfs/etc/plain", nil, 0))
		id := name(t)
		for _, command := range []string{"run", "create"} {
			r := ostia(t, "", command, "--bundle", dir, id)
			if r.status != c.status || !strings.Contains(r.stderr, c.words) {
				t.Errorf("%s %v: exit status %d, stderr %q, want %d", command, c.args, r.status, r.stderr, c.status)
			}
			nothingLeft(t, id)
		}
	}
}

// Whatever else a configuration says of a container is done: hooks on the host at
// their times, and sysctls, paths and system calls in the guest, whose clock is KVM's;
// and parameters of its kernel, as this one, that modules must be signed.
func TestMakeup(t *testing.T) {
	full(t)
	hooks := t.TempDir() + "/hooks"
	dir := bundle(t, `cat /sys/devices/system/clocksource/clocksource0/available_clocksource | grep -c kvm-clock; cat /proc/sys/kernel/msgmax
cat /etc/masked | wc -c; echo x >/etc/readonly || echo refused; mkdir /tmp/x || echo filtered; cat /sys/module/module/parameters/sig_enforce; exit 4`, func(c object) {
		c["vm"] = object{"kernel": object{"parameters": []string{"module.sig_enforce=1"}}}
		l := c["linux"].(object)
		l["sysctl"] = object{"kernel.msgmax": "7777"}
		l["maskedPaths"], l["readonlyPaths"] = []string{"/etc/masked"}, []string{"/etc/readonly"}
		l["seccomp"] = object{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []object{{"names": []string{"mkdir", "mkdirat"}, "action": "SCMP_ACT_ERRNO"}}}
		all := object{}
		for _, at := range []string{"prestart", "createRuntime", "poststart", "poststop"} {
			all[at] = []object{{"path": "/bin/sh", "args": []string{"sh", "-c", "cat >/dev/null; echo " + at + " >>" + hooks}}}
		}
		c["hooks"] = all
	})
	check(t, os.WriteFile(dir+"/rootfs/etc/masked", []byte("secret"), 0o644))
	check(t, os.WriteFile(dir+"/rootfs/etc/readonly", nil, 0o644))
	ostia(t, "", "run", "--bundle", dir, name(t)).want(t, 4, "1\n7777\n0\nrefused\nfiltered\nY\n")
	if text, err := os.ReadFile(hooks); err != nil || string(text) != "prestart\ncreateRuntime\npoststart\npoststop\n" {
		t.Errorf("hooks %q, %v", text, err)
	}
	nothingLeft(t, name(t))
}

// HOME is that of the user in the container's /etc/passwd, as in a container
// without a machine.
func TestHome(t *testing.T) {
	full(t)
	dir := bundle(t, "echo $HOME; sleep 1000", func(c object) { process(c)["user"] = object{"uid": 1000, "gid": 1000} })
	check(t, os.WriteFile(dir+"/rootfs/etc/passwd", []byte("root:x:0:0::/root:/bin/sh\nu:x:1000:1000::/home/u:/bin/sh\n"), 0o644))
	id := name(t)
	start(t, id, dir, "/home/u\n")
	ostia(t, "", "exec", id, "sh", "-c", "echo $HOME").want(t, 0, "/home/u\n")
	ostia(t, "", "exec", "--user", "0", id, "sh", "-c", "echo $HOME").want(t, 0, "/root\n")
	ostia(t, "", "exec", "--user", "7", id, "sh", "-c", "echo $HOME").want(t, 0, "/\n")
	ostia(t, "", "exec", "--env", "HOME=/mine", id, "sh", "-c", "echo $HOME").want(t, 0, "/mine\n")
}
