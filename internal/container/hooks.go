package container

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"

	"ostia/internal/file"
	"ostia/internal/plan"
	"ostia/internal/program"
	"ostia/internal/spec"
	"ostia/internal/state"

	"golang.org/x/sys/unix"
)

// hookFiles are what the stage's own hooks are given: the state, and files for
// what they print.
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
	}{{"state", &c.hooks.state}, {"output", &c.hooks.output}} {
		fd, err := unix.MemfdCreate(file.name, unix.MFD_CLOEXEC)
		if err != nil {
			return failed("hooks", "", err)
		}
		*file.fd = fd
	}
	to, err := program.OpenOutput(hookOutput(&c.spec.Extensions), c.hooks.output)
	if err != nil {
		return failed("hooks", "", err)
	}
	in.HookEnv = os.Environ()
	in.FDs.HookState = f.lend(c.hooks.state)
	for i, num := range [...]*int{&in.FDs.HookStdout, &in.FDs.HookStderr} {
		if *num = f.lend(to[i]); to[i] != c.hooks.output {
			f.ours = append(f.ours, to[i])
		}
	}
	return nil
}

// hookOutput are the files that hooks append to, as annotations ask.
func hookOutput(x *spec.Extensions) [2]string { return [2]string{x.HookStdout, x.HookStderr} }

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

// hookSaid is what the failed hook printed.
func (c *creation) hookSaid() string {
	if c.hooks == nil {
		return ""
	}
	_, _ = unix.Seek(c.hooks.output, 0, 0)
	text, err := file.ReadAll(c.hooks.output)
	if err != nil {
		return ""
	}
	return text
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
	return c.hookRunner().run(pointer, hooks, status, pid)
}

func (c *creation) hookRunner() *hookRunner {
	return &hookRunner{state: c.state, bundle: c.bundle, extensions: &c.spec.Extensions}
}

// hookRunner runs hooks in the runtime's namespaces.
type hookRunner struct {
	state      *state.State
	bundle     string
	extensions *spec.Extensions
}

// run runs hooks one after the other with the state on their stdin and ends
// with the first that fails (config.md#posix-platform-hooks).
func (r *hookRunner) run(pointer string, hooks []spec.Hook, status string, pid int) error {
	for i := range hooks {
		if err := r.one(&hooks[i], r.state.OCI(status, pid)); err != nil {
			return hookFailed(pointer, i, &hooks[i], err)
		}
	}
	return nil
}

func hookFailed(pointer string, i int, h *spec.Hook, err error) error {
	var failed *hookError
	if errors.As(err, &failed) {
		failed.hook = hookName(pointer, i)
	}
	return &spec.Error{Pointer: pointer + "[" + strconv.Itoa(i) + "] " + h.Path, Err: err}
}

// stopped runs the poststop hooks, all of them: one that fails undoes nothing
// and is warned about (config.md#poststop).
func (r *hookRunner) stopped(hooks []spec.Hook, warn func(error)) {
	for i := range hooks {
		if err := r.one(&hooks[i], r.state.OCI(Stopped, 0)); err != nil && warn != nil {
			var failed *hookError
			if errors.As(err, &failed) { // in crun's words, which have no number
				if code, ended := strings.CutPrefix(failed.how, "exit status "); ended {
					failed.how = "poststop hook failed with exit code " + code
				}
			}
			warn(hookFailed("hooks.poststop", i, &hooks[i], err))
		}
	}
}

func (r *hookRunner) one(h *spec.Hook, stdin []byte) error {
	args := h.Args
	if len(args) == 0 {
		args = []string{h.Path}
	}
	env := h.Env
	if env == nil {
		env = os.Environ() // as with runc and crun
	}
	hook := program.Program{
		Path: h.Path, Args: args, Env: env, Dir: r.bundle, Stdin: string(stdin), Timeout: h.Timeout, Output: hookOutput(r.extensions),
	}
	out, status, err := hook.Run()
	switch {
	case err == program.ErrTimeout:
		return &hookError{how: "took longer than its timeout of " + strconv.Itoa(*h.Timeout) + " s and was killed", output: out}
	case err != nil:
		return err
	case status != 0:
		return &hookError{how: program.Ended(status, ""), output: out}
	}
	return nil
}

// hookName is what runc calls a hook, by which users look for its failure.
func hookName(pointer string, i int) string {
	return strings.TrimPrefix(pointer, "hooks.") + " hook #" + strconv.Itoa(i)
}

// hookError is a hook that failed: which, how it ended, and what it printed.
type hookError struct{ hook, how, output string }

func (e *hookError) Error() string {
	s := "error running " + e.hook + ": " + e.how
	if said := program.OneLine(e.output); said != "" {
		s += ": " + said
	}
	return s
}
