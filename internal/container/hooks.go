package container

import (
	"errors"
	"strconv"
	"syscall"
	"time"

	"ostia/internal/plan"
	"ostia/internal/spec"
	"ostia/internal/state"

	"golang.org/x/sys/unix"
)

// hookFiles are what the stage's own hooks are given: the state, and a file
// for what they print.
type hookFiles struct{ state, output int }

// openHooks makes the files for the hooks that the stage runs.
func (c *creation) openHooks(f *files, in *plan.Input, _ *syscall.SysProcAttr) error {
	h := &c.spec.Hooks
	if len(h.CreateContainer)+len(h.StartContainer) == 0 {
		return nil
	}
	c.hooks = &hookFiles{}
	for _, file := range []struct {
		name string
		fd   *int
		num  *int
	}{{"state", &c.hooks.state, &in.FDs.HookState}, {"output", &c.hooks.output, &in.FDs.HookOutput}} {
		fd, err := unix.MemfdCreate(file.name, unix.MFD_CLOEXEC)
		if err != nil {
			return failed("hooks", "", err)
		}
		*file.fd, *file.num = fd, f.lend(fd)
	}
	return nil
}

// tellHooks puts the state into the file that the stage's hooks read.
func (c *creation) tellHooks(status string) error {
	if c.hooks == nil {
		return nil
	}
	text := c.state.OCI(status, c.state.Pid)
	if _, err := unix.Pwrite(c.hooks.state, text, 0); err != nil {
		return failed("hooks", "", err)
	}
	return failed("hooks", "", unix.Ftruncate(c.hooks.state, int64(len(text))))
}

// hookOutput is what the failed hook printed, on one line.
func (c *creation) hookOutput() string {
	if c.hooks == nil {
		return ""
	}
	_, _ = unix.Seek(c.hooks.output, 0, 0)
	text, err := state.ReadAll(c.hooks.output)
	if err != nil {
		return ""
	}
	return oneLine(text)
}

// runtimeHooks runs the hooks that belong before pivot_root in the runtime's
// namespaces.
func (c *creation) runtimeHooks() error {
	h := &c.spec.Hooks
	if err := c.runHooks("hooks.prestart", h.Prestart, Creating, c.stage.Pid); err != nil {
		return err
	}
	return c.runHooks("hooks.createRuntime", h.CreateRuntime, Creating, c.stage.Pid)
}

func (c *creation) runHooks(pointer string, hooks []spec.Hook, status string, pid int) error {
	r := &hookRunner{state: c.state, bundle: c.bundle}
	return r.run(pointer, hooks, status, pid)
}

// hookRunner runs hooks in the runtime's namespaces.
type hookRunner struct {
	state  *state.State
	bundle string
}

// run runs hooks one after the other with the state on their stdin and ends
// with the first that fails (config.md#posix-platform-hooks).
func (r *hookRunner) run(pointer string, hooks []spec.Hook, status string, pid int) error {
	for i := range hooks {
		h := &hooks[i]
		if err := r.one(h, r.state.OCI(status, pid)); err != nil {
			return &spec.Error{Pointer: pointer + "[" + strconv.Itoa(i) + "] " + h.Path, Err: err}
		}
	}
	return nil
}

func (r *hookRunner) one(h *spec.Hook, stdin []byte) error {
	args := h.Args
	if len(args) == 0 {
		args = []string{h.Path}
	}
	out, status, err := runProgram(h.Path, args, h.Env, r.bundle, stdin, h.Timeout)
	switch {
	case err == errTimeout:
		return errors.New("took longer than its timeout of " + strconv.Itoa(*h.Timeout) + " s and was killed")
	case err != nil:
		return err
	case status != 0:
		return errors.New(hookEnd(int32(status), oneLine(out)))
	}
	return nil
}

// hookEnd says how a hook ended, from its wait status, and what it printed.
func hookEnd(status int32, output string) string {
	ws := unix.WaitStatus(status)
	text := "exit status " + strconv.Itoa(ws.ExitStatus())
	if ws.Signaled() {
		text = "signal " + strconv.Itoa(int(ws.Signal()))
	}
	if output != "" {
		text += ": " + output
	}
	return text
}

var errTimeout = errors.New("timed out")

// runProgram runs a program of the host with stdin and returns what it printed
// and its wait status. Files take both, so that neither side waits for the other.
func runProgram(path string, args, env []string, dir string, stdin []byte, timeout *int) (string, int, error) {
	in, err := unix.MemfdCreate("stdin", unix.MFD_CLOEXEC)
	if err != nil {
		return "", 0, err
	}
	defer unix.Close(in)
	if _, err := unix.Pwrite(in, stdin, 0); err != nil {
		return "", 0, err
	}
	out, err := unix.MemfdCreate("output", unix.MFD_CLOEXEC)
	if err != nil {
		return "", 0, err
	}
	defer unix.Close(out)
	if env == nil {
		env = []string{}
	}
	pidfd := -1
	pid, err := syscall.ForkExec(path, args, &syscall.ProcAttr{
		Dir: dir, Env: env, Files: []uintptr{uintptr(in), uintptr(out), uintptr(out)}, Sys: &syscall.SysProcAttr{PidFD: &pidfd},
	})
	if err != nil {
		return "", 0, err
	}
	defer unix.Close(pidfd)
	late := timeout != nil && !endsWithin(pidfd, time.Duration(*timeout)*time.Second)
	if late {
		_ = unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0)
	}
	var ws unix.WaitStatus
	for {
		if _, err = unix.Wait4(pid, &ws, 0, nil); err != unix.EINTR {
			break
		}
	}
	_, _ = unix.Seek(out, 0, 0)
	text, _ := state.ReadAll(out)
	if late {
		err = errTimeout
	}
	return text, int(ws), err
}

// endsWithin waits for a process to end.
func endsWithin(pidfd int, limit time.Duration) bool {
	end := time.Now().Add(limit)
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	for {
		left := time.Until(end)
		if left < 0 {
			left = 0
		}
		n, err := unix.Poll(fds, int(left.Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		return n > 0
	}
}

// oneLine is the last lines of a program's output as one, at most 300 bytes.
func oneLine(s string) string {
	for len(s) > 0 && s[len(s)-1] == '\n' {
		s = s[:len(s)-1]
	}
	if len(s) > 300 {
		s = "..." + s[len(s)-297:]
	}
	b := []byte(s)
	for i, ch := range b {
		if ch < 0x20 || ch == 0x7f {
			b[i] = ' '
		}
	}
	return string(b)
}
