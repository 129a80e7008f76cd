package vm

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// ps lists what runs in the guest, kill --all reaches all of it, and a limit on
// processes is the guest's; the cost of all is what the host's cgroup counts.
func TestGuestProcesses(t *testing.T) {
	dir := bundle(t, "trap '' TERM; (trap - TERM; exec sleep 1000) & echo up; wait; echo none left; exit 3", nil)
	id := name(t)
	output := start(t, id, dir, "up\n")
	table := ostia(t, "", "ps", id).stdout
	for _, want := range []string{"UID          PID    PPID     TIME CMD\n", "\n0              1       0 ", " /bin/sh -c trap ''", " sleep 1000\n"} {
		if !strings.Contains(table, want) {
			t.Errorf("ps prints %q, want %q", table, want)
		}
	}
	// What an engine looks up is on the host; KVM may have a thread of the kernel's there, too.
	pid, _, _ := strings.Cut(strings.Trim(ostia(t, "", "ps", "--format", "json", id).stdout, "[]\n"), ",")
	if comm, err := os.ReadFile("/proc/" + pid + "/comm"); err != nil || string(comm) != "ostia-vmm\n" {
		t.Errorf("ps --format json names %s, a %q: %v", pid, comm, err)
	}
	if r := ostia(t, "", "ps", id, "-ef"); r.status != 1 || !strings.Contains(r.stderr, "which knows no options of ps(1)") {
		t.Errorf("exit status %d, stderr %q", r.status, r.stderr)
	}

	ostia(t, "", "update", "--pids-limit", "3", id).want(t, 0, "")
	if r := ostia(t, "", "exec", id, "sh", "-c", "true & wait"); r.status != 2 || !strings.Contains(r.stderr, "can't fork") {
		t.Errorf("a process more than the limit: exit status %d, stderr %q", r.status, r.stderr)
	}
	ostia(t, "", "update", "--pids-limit", "-1", id).want(t, 0, "")

	ostia(t, "", "kill", "--all", id, "TERM").want(t, 0, "")
	waitFor(t, "the end", func() bool { return stopped(t, id) })
	if text, err := os.ReadFile(output); err != nil || string(text) != "up\nnone left\n" {
		t.Errorf("output %q, %v", text, err)
	}
}

// events tells what the machine costs the host, and update bounds that.
func TestCost(t *testing.T) {
	full(t)
	dir := bundle(t, "echo up; while :; do :; done", nil)
	id := name(t)
	start(t, id, dir, "up\n")
	usage := func() int {
		s := ostia(t, "", "events", "--stats", id).stdout
		if !strings.Contains(s, `"type":"stats"`) {
			t.Fatalf("events: %s", s)
		}
		return number(t, s, `"cpu":{"usage":{"total":`)
	}
	if before, after := usage(), usage(); after <= before {
		t.Errorf("a busy guest uses no processor time: %d, then %d", before, after)
	}
	ostia(t, "", "update", "--memory", "700M", "--cpu-quota", "20000", "--cpu-period", "100000", id).want(t, 0, "")
	for file, want := range map[string]string{"memory.max": "734003200\n", "cpu.max": "20000 100000\n"} {
		if got, err := os.ReadFile("/sys/fs/cgroup/" + id + "/" + file); err != nil || string(got) != want {
			t.Errorf("%s is %q, want %q: %v", file, got, want, err)
		}
	}
	began, from := time.Now(), usage()
	time.Sleep(3 * time.Second)
	if used := time.Duration(usage() - from); used > time.Since(began)/3 {
		t.Errorf("used %v of processor time in %v with a quota of a fifth", used, time.Since(began))
	}
}

// events tells at its next interval that the guest has run out of memory.
func TestOOMEvent(t *testing.T) {
	dir := bundle(t, "echo up; sleep 1000", func(c object) { c["annotations"] = object{"krun.ram_mib": "128"} })
	id := name(t)
	start(t, id, dir, "up\n")
	told := temporary(t)
	events := exec.Command(runtime, "--root", state, "events", "--interval", "1s", id)
	events.Stdout, events.Stderr = told, told
	check(t, events.Start())
	t.Cleanup(func() {
		_ = events.Process.Kill() // it has ended with the container
		_ = events.Wait()
	})
	has := func(text string) func() bool {
		return func() bool { return strings.Contains(content(t, told), text) }
	}
	waitFor(t, "statistics", has(`"type":"stats"`))
	if has(`"type":"oom"`)() {
		t.Error("an OOM before there was one")
	}
	ostia(t, "", "exec", id, "tail", "/dev/zero").want(t, 137, "")
	waitFor(t, "the OOM", has(`{"type":"oom","id":"`+id+`"}`))
}

// number is the one that follows a word of a text.
func number(t *testing.T, text, word string) int {
	t.Helper()
	_, rest, found := strings.Cut(text, word)
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if !found || end <= 0 {
		t.Fatalf("no number behind %s in %s", word, text)
	}
	n, err := strconv.Atoi(rest[:end])
	check(t, err)
	return n
}

// A paused machine stands still, its clock but for the host's too, and is not
// taken for one that hangs.
func TestPause(t *testing.T) {
	dir := bundle(t, "echo up; n=0; while :; do n=$((n+1)); echo $n >/count; done", func(c object) {
		annotate(c, "org.ostia.vm.answer_seconds", "15")
	})
	id := name(t)
	start(t, id, dir, "up\n")
	count := func() string {
		text, err := os.ReadFile(dir + "/rootfs/count")
		check(t, err)
		return string(text)
	}
	waitFor(t, "a count", func() bool { _, err := os.Stat(dir + "/rootfs/count"); return err == nil })
	ostia(t, "", "pause", id).want(t, 0, "")
	if s := ostia(t, "", "state", id).stdout; !strings.Contains(s, `"status": "paused"`) {
		t.Errorf("state %s", s)
	}
	if r := ostia(t, "", "exec", id, "true"); r.status != 125 || !strings.Contains(r.stderr, "paused") {
		t.Errorf("exec: exit status %d, stderr %q", r.status, r.stderr)
	}
	before := count()
	time.Sleep(16 * time.Second)
	if after := count(); after != before {
		t.Errorf("it counted from %q to %q", before, after)
	}
	ostia(t, "", "resume", id).want(t, 0, "")
	waitFor(t, "another count", func() bool { return count() != before })
	ostia(t, "", "exec", id, "true").want(t, 0, "")
	if s := ostia(t, "", "state", id).stdout; !strings.Contains(s, `"status": "running"`) {
		t.Errorf("state %s", s)
	}
}
