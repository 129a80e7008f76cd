// Package vm states how the microVM handler behaves on real machines. It needs
// root, KVM and an installed kernel: make test-vm runs it in the guest of
// test/guest, where KVM is nested.
package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// runtime is the ostia under test; state is where its containers are.
var runtime, state string

// patience is how long a machine in an emulated machine may take.
const patience = 3 * time.Minute

// endless is how long a suite of others may: the test binary has a limit itself.
const endless = 24 * time.Hour

// full leaves a test out of the sample that make test runs.
func full(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("not of the sample: make test-vm-full runs it")
	}
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	runtime = os.Getenv("RUNTIME")
	dir, err := os.MkdirTemp("", "ostia-vm-")
	if err != nil || runtime == "" || os.Getenv("BUSYBOX") == "" {
		fmt.Fprintln(os.Stderr, "set RUNTIME and BUSYBOX, as the Makefile does", err)
		return 1
	}
	defer os.RemoveAll(dir)
	state = filepath.Join(dir, "state")
	return m.Run()
}

// result is how a command ended and what it wrote.
type result struct {
	status         int
	stdout, stderr string
	took           time.Duration
}

// ostia runs a command of the runtime with the microVM handler.
func ostia(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	return ostiaWithin(t, patience, stdin, args...)
}

func ostiaWithin(t *testing.T, limit time.Duration, stdin string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	c := exec.CommandContext(ctx, runtime, append([]string{"--root", state, "--handler", "vm"}, args...)...)
	// Files, not pipes: a container that create leaves keeps them.
	stdout, stderr := temporary(t), temporary(t)
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(stdin), stdout, stderr
	began := time.Now()
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("ostia %v: %v %v: %s", args, err, ctx.Err(), content(t, stderr))
	}
	return result{c.ProcessState.ExitCode(), content(t, stdout), content(t, stderr), time.Since(began)}
}

func temporary(t *testing.T) *os.File {
	t.Helper()
	f, err := os.CreateTemp(filepath.Dir(state), "output-")
	check(t, err)
	t.Cleanup(func() {
		f.Close()
		os.Remove(f.Name())
	})
	return f
}

func content(t *testing.T, f *os.File) string {
	t.Helper()
	b, err := os.ReadFile(f.Name())
	check(t, err)
	return string(b)
}

// want holds a result to its status and standard output.
func (r result) want(t *testing.T, status int, stdout string) {
	t.Helper()
	if r.status != status || r.stdout != stdout {
		t.Errorf("exit status %d, stdout %q, stderr %q, want %d, %q", r.status, r.stdout, r.stderr, status, stdout)
	}
}

// runScript runs a container to its end, and sees that nothing of it is left.
func runScript(t *testing.T, stdin, script string, edit func(object)) result {
	t.Helper()
	dir := bundle(t, script, edit)
	id := name(t)
	r := ostia(t, stdin, "run", "--bundle", dir, id)
	nothingLeft(t, id)
	return r
}

// name is an id for the test's container.
func name(t *testing.T) string {
	return "vm-" + strings.NewReplacer("/", "-", " ", "-", ",", "").Replace(t.Name())
}

func nothingLeft(t *testing.T, id string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(state, id)); err == nil {
		t.Errorf("the state of %s is left", id)
	}
	if _, err := os.Stat("/sys/fs/cgroup/" + id); err == nil {
		t.Errorf("the cgroup of %s is left", id)
	}
}

// start starts a container in the background, whose output goes to a file, and
// waits for a word in it.
func start(t *testing.T, id, dir, word string) (output string) {
	t.Helper()
	output = filepath.Join(dir, "output")
	f, err := os.Create(output)
	check(t, err)
	defer f.Close()
	c := exec.Command(runtime, "--root", state, "--handler", "vm", "run", "--detach", "--bundle", dir, id)
	c.Stdout, c.Stderr = f, f
	if err := c.Run(); err != nil {
		text, _ := os.ReadFile(output)
		t.Fatalf("run --detach: %v: %s", err, text)
	}
	t.Cleanup(func() {
		// The test's context has ended.
		if _, err := os.Stat(filepath.Join(state, id)); err != nil {
			return // the test has deleted it
		}
		if out, err := exec.Command(runtime, "--root", state, "delete", "--force", id).CombinedOutput(); err != nil {
			t.Errorf("delete --force: %v: %s", err, out)
		}
	})
	var text []byte
	for end := time.Now().Add(patience); !strings.Contains(string(text), word); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q did not come, but %q", word, text)
		}
		text, err = os.ReadFile(output)
		check(t, err)
	}
	return output
}

// waitFor waits until something holds.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("did not come: %s", what)
		}
	}
}

func stopped(t *testing.T, id string) bool {
	return strings.Contains(ostia(t, "", "state", id).stdout, `"stopped"`)
}
