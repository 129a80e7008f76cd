package test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ostia/test/entrypoints"
)

// attempt is one case, started once.
type attempt struct {
	*entryPointGroup
	c   *entrypoints.Case
	id  string
	dir string // its files, also the bundle
}

func (g *entryPointGroup) attempt(t *testing.T, i int, c *entrypoints.Case) *attempt {
	a := &attempt{entryPointGroup: g, c: c, id: fmt.Sprintf("%s-%03d", g.id, i)}
	a.dir = filepath.Join(g.work, fmt.Sprintf("%03d", i))
	check(t, os.MkdirAll(a.dir, 0o755))
	if c.Busy != "" {
		f, err := os.OpenFile(filepath.Join(g.tree.Root, c.Busy), os.O_WRONLY, 0)
		check(t, err)
		t.Cleanup(func() { f.Close() })
	}
	return a
}

func (a *attempt) run(t *testing.T) {
	a.bundle(t, false)
	a.judge(t, pipe(t), "run", "--bundle", a.dir, a.id)
	a.nothingLeft(t)
}

func (a *attempt) runInTerminal(t *testing.T) {
	a.bundle(t, true)
	a.judge(t, pty(t), "run", "--bundle", a.dir, a.id)
	a.nothingLeft(t)
}

func (a *attempt) create(t *testing.T) {
	a.bundle(t, false)
	out := pipe(t)
	if a.created(t, out, "create", "--bundle", a.dir, a.id) {
		a.started(t, out)
	}
	a.nothingLeft(t)
}

func (a *attempt) createInTerminal(t *testing.T) {
	a.bundle(t, true)
	socket := filepath.Join(a.dir, "tty")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	check(t, err)
	defer listener.Close()
	if a.created(t, pipe(t), "create", "--console-socket", socket, "--bundle", a.dir, a.id) {
		a.started(t, &output{reader: accept(t, listener)})
	}
	a.nothingLeft(t)
}

func (a *attempt) exec(t *testing.T) {
	writeJSON(t, a.dir+"/process.json", processOf(a.c, false))
	a.judge(t, pipe(t), "exec", "--process", a.dir+"/process.json", a.holder)
}

func (a *attempt) execDetached(t *testing.T) {
	writeJSON(t, a.dir+"/process.json", processOf(a.c, false))
	a.judge(t, pipe(t), "exec", "--detach", "--process", a.dir+"/process.json", a.holder)
}

func (a *attempt) execInTerminal(t *testing.T) {
	writeJSON(t, a.dir+"/process.json", processOf(a.c, true))
	a.judge(t, pty(t), "exec", "--tty", "--process", a.dir+"/process.json", a.holder)
}

func (a *attempt) bundle(t *testing.T, terminal bool) {
	writeJSON(t, a.dir+"/config.json", a.config(a.c, terminal))
}

func (a *attempt) log() string { return filepath.Join(a.dir, "log.json") }

// stderr is where a command's standard error goes. The container of a create
// keeps it.
func (a *attempt) stderr(command string) string { return filepath.Join(a.dir, command+".stderr") }

// judge runs a command that runs the entry point, and compares all that is
// seen of it with the case.
func (a *attempt) judge(t *testing.T, out *output, args ...string) {
	t.Helper()
	status, stderr := a.execute(t, out, args...)
	if a.servedBusy(t) {
		if got := out.text(t); status != 0 || stderr != "" || got != "hello\n" {
			t.Errorf("exit status %d, printed %q: %s", status, got, stderr)
		}
		return
	}
	if a.c.Late && !a.machine {
		a.killed(t, status, stderr, slices.Contains(args, "--detach"))
		return
	}
	a.saidSo(t, status, stderr)
	if got := out.text(t); got != a.c.Stdout {
		t.Errorf("printed %q, want %q", got, a.c.Stdout)
	}
}

// killed is for the late case where execve(2) itself is the verdict: the kernel
// has begun to run the file by the time it finds it wanting, and tells by
// SIGSEGV alone. Only create, and a machine's runtime, which judge before, have
// words for it.
func (a *attempt) killed(t *testing.T, status int, stderr string, detached bool) {
	t.Helper()
	want := 128 + int(syscall.SIGSEGV)
	if detached {
		want = 0
	}
	if status != want || stderr != "" {
		t.Errorf("exit status %d, want %d: %s", status, want, stderr)
	}
}

// created runs a create, and reports whether there is a container to start.
func (a *attempt) created(t *testing.T, out *output, args ...string) bool {
	t.Helper()
	status, stderr := a.execute(t, out, args...)
	if a.c.Busy != "" && !knowsBusy(t) {
		if status != 0 {
			t.Errorf("create ends with %d: %s", status, stderr)
		}
		return status == 0
	}
	a.saidSo(t, status, stderr)
	return status == 0
}

// knowsBusy is whether the kernel tells before execve that a file is open for
// writing: with AT_EXECVE_CHECK, since Linux 6.14.
func knowsBusy(t *testing.T) bool {
	ok, err := kernelAtLeast("6.14")
	check(t, err)
	return ok
}

// servedBusy is for a machine on a host whose kernel does not know: its guest has
// the file from a server, and sees nobody write to it.
func (a *attempt) servedBusy(t *testing.T) bool { return a.machine && a.c.Busy != "" && !knowsBusy(t) }

// started starts the container, waits for its end and deletes it.
func (a *attempt) started(t *testing.T, out *output) {
	t.Helper()
	if status, stderr := a.execute(t, pipe(t), "start", a.id); status != 0 {
		t.Errorf("start ends with %d: %s", status, stderr)
	}
	got, want := out.text(t), a.c.Stdout
	switch {
	case a.servedBusy(t):
		want = "hello\n"
	case a.c.Status != 0: // only the last execve could tell
		late, err := os.ReadFile(a.stderr("create"))
		check(t, err)
		got += string(late) // one of the two is empty
		want = fmt.Sprintf("ostia: exec: %q: permission denied: text file busy: some process has the file open for writing\n", a.c.Args[0])
	}
	if got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
	for try := range 100 { // its output ends a moment before itself
		status, stderr := a.execute(t, pipe(t), "delete", a.id)
		if status == 0 {
			return
		}
		if try == 99 {
			t.Errorf("delete ends with %d: %s", status, stderr)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// saidSo holds the exit status, standard error and the log to the case and to
// the engines' rules.
func (a *attempt) saidSo(t *testing.T, status int, stderr string) {
	t.Helper()
	if status != a.c.Status {
		t.Errorf("exit status %d, want %d: %s", status, a.c.Status, stderr)
	}
	log, err := os.ReadFile(a.log())
	if a.c.Status == 0 {
		if stderr != "" || len(log) > 0 {
			t.Errorf("stderr %q, log %q, want none", stderr, log)
		}
		return
	}
	if err != nil {
		t.Error(err)
		return
	}
	var entry struct {
		Level, Msg string
		Time       time.Time
	}
	if err := json.Unmarshal(log, &entry); err != nil { // podman reads the file as one object
		t.Errorf("log %q: %v", log, err)
		return
	}
	if entry.Level != "error" || time.Since(entry.Time) > time.Hour {
		t.Errorf("log entry %q", log)
	}
	if stderr != entry.Msg+"\n" {
		t.Errorf("stderr %q, log %q", stderr, entry.Msg)
	}
	for _, e := range entrypoints.Engines() {
		if got := e.Status(entry.Msg); got != a.c.Status {
			t.Errorf("%s makes %d of %q, want %d", e.Name, got, entry.Msg, a.c.Status)
		}
	}
	for words := range strings.SplitSeq(a.c.Has, "|") {
		if !strings.Contains(entry.Msg, words) {
			t.Errorf("%q does not hold %q", entry.Msg, words)
		}
	}
	if strings.ContainsFunc(entry.Msg, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		t.Errorf("%q is not one printable line", entry.Msg)
	}
}

// nothingLeft looks for traces of the container right when the command has
// returned.
func (a *attempt) nothingLeft(t *testing.T) {
	t.Helper()
	left := cgroups(a.id)
	for _, pid := range processes(a.id, a.id) {
		left = append(left, commandLine(pid))
	}
	entries, err := os.ReadDir(a.root)
	check(t, err)
	if slices.ContainsFunc(entries, func(e os.DirEntry) bool { return strings.Contains(e.Name(), a.id) }) {
		left = append(left, "its state")
	}
	for _, m := range mounts("self", a.dir) {
		left = append(left, "mount "+m)
	}
	if len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// execute runs a command of the runtime with out as its output, and returns its
// exit status and what it wrote to standard error.
func (a *attempt) execute(t *testing.T, out *output, args ...string) (status int, stderr string) {
	t.Helper()
	file, err := os.Create(a.stderr(args[0]))
	check(t, err)
	defer file.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	c := exec.CommandContext(ctx, a.runtime, append([]string{"--root", a.root, "--log", a.log(), "--log-format", "json"}, args...)...)
	c.Stdin, c.Stdout, c.Stderr = out.in, out.writer, file
	if out.in == nil {
		c.Stdin = nil
	}
	check(t, c.Start())
	out.started()
	_ = c.Wait() // the status tells
	b, err := os.ReadFile(file.Name())
	check(t, err)
	return c.ProcessState.ExitCode(), string(b)
}
