package plan

import (
	"ostia/internal/spec"
	"ostia/internal/stage"

	"golang.org/x/sys/unix"
)

// hooksBeforePivot lets the runtime run the prestart and createRuntime hooks
// in its own namespaces, and write the state for the others, and then runs the createContainer hooks in the
// container's, where the host's paths are still in sight.
func (c *compiler) hooksBeforePivot() {
	h := &c.spec.Hooks
	if len(h.Prestart)+len(h.CreateRuntime)+len(h.CreateContainer)+len(h.StartContainer) > 0 {
		c.About("hooks.createRuntime", -1, "")
		c.milestone(WantHooks)
		c.await()
	}
	if len(h.CreateContainer) > 0 {
		// runc runs them in the root, though the old one is in sight.
		c.Do("enter the root", unix.SYS_FCHDIR, c.root.Val())
		c.hooks("hooks.createContainer", h.CreateContainer, c.Vec(c.in.HookEnv), false)
	}
}

// startContainerHooks run in the container after start, before the entry
// point, under its seccomp filter. The one that waits for them is not under it
// yet, unless a listener made it so early.
func (c *compiler) startContainerHooks() {
	// One that names no environment has the process's, as with runc.
	c.hooks("hooks.startContainer", c.spec.Hooks.StartContainer, c.env, !c.in.Seccomp.Notify)
}

// hooks runs hooks, those without an environment of their own in env, filtered
// under the seccomp filter.
func (c *compiler) hooks(pointer string, hooks []spec.Hook, env stage.Arg, filtered bool) {
	for i := range hooks {
		about := func() { c.About(pointer, i, hooks[i].Path) }
		about()
		e := env
		if hooks[i].Env != nil {
			e = c.Vec(hooks[i].Env)
		}
		c.hook(&hooks[i], e, func() {
			if filtered {
				c.seccomp()
				about()
			}
		})
	}
}

// hook runs a program with the state on its stdin and waits for it, at most
// for its timeout. confine are the last ops before the program.
func (c *compiler) hook(h *spec.Hook, env stage.Arg, confine func()) {
	pid, status, ready := c.Cell(), c.reportWord(ReportValue), c.Cell()
	isParent, isChild, late, ended := c.NewLabel(), c.NewLabel(), c.NewLabel(), c.NewLabel()
	pollfd := c.U32(0, unix.POLLIN)
	args := h.Args
	if len(args) == 0 {
		args = []string{h.Path}
	}
	zero := stage.Imm(0)
	c.Do("fork", unix.SYS_CLONE, stage.Imm(unix.CLONE_PIDFD|int(unix.SIGCHLD)), zero, stage.CellAt(pollfd, 0).Addr(), zero, zero).To(pid)
	c.If(pid.Val(), -1, 0, isParent)
	c.Goto(isChild)

	c.Place(isChild)
	c.Do("rewind the state", unix.SYS_LSEEK, stage.Imm(c.in.FDs.HookState), zero, zero)
	c.Do("give the state", unix.SYS_DUP3, stage.Imm(c.in.FDs.HookState), zero, zero)
	c.Do("take the output", unix.SYS_DUP3, stage.Imm(c.in.FDs.HookStdout), stage.Imm(1), zero)
	c.Do("take the output", unix.SYS_DUP3, stage.Imm(c.in.FDs.HookStderr), stage.Imm(2), zero)
	confine()
	c.Do("run", unix.SYS_EXECVE, c.Str(h.Path), c.Vec(args), env)

	c.Place(isParent)
	timeout := zero
	if h.Timeout != nil {
		timeout = c.U64(uint64(*h.Timeout), 0)
	}
	c.Do("wait", unix.SYS_PPOLL, pollfd, stage.Imm(1), timeout, zero, zero).To(ready)
	c.If(ready.Val(), -1, 1, late)
	c.Do("reap", unix.SYS_WAIT4, pid.Val(), status.Addr(), zero, zero)
	c.Require("failed", status.Val(), -1, 0, unix.ECANCELED)
	c.Goto(ended)
	c.Place(late)
	c.Do("kill", unix.SYS_KILL, pid.Val(), stage.Imm(int(unix.SIGKILL)))
	c.Do("reap", unix.SYS_WAIT4, pid.Val(), status.Addr(), zero, zero)
	c.Require("took longer than its timeout", zero, -1, 1, unix.ETIME)
	c.Place(ended)
	c.Do("close", unix.SYS_CLOSE, stage.CellAt(pollfd, 0).Val())
}
