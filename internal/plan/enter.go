package plan

import (
	"ostia/internal/spec"
	"ostia/internal/stage"

	"golang.org/x/sys/unix"
)

// CompileExec makes the plan of exec: a process in the namespaces of a
// container that exists.
func CompileExec(in *Input) (*Plan, error) {
	c := newCompiler(in)
	c.begin()
	if a := in.Process.ExecCPUAffinity; a != nil {
		// Where the stage is born in the cgroup, CPUs that it lacks are EINVAL.
		c.affinity("process.execCPUAffinity.initial", a.Initial).Ignore(unix.EINVAL)
	}
	c.joinCgroup()
	if a := in.Process.ExecCPUAffinity; a != nil {
		c.affinity("process.execCPUAffinity.final", a.Final)
	}
	c.attributes()
	// By the host's procfs: the container's may be anything (CVE-2019-16884).
	c.keyLabel()
	c.labels()
	c.enter()
	c.session()
	if !c.hasMountNS() {
		c.changeRoot()
	}
	if in.Process.Terminal {
		c.About("process.terminal", -1, "")
		c.useTerminal(c.openTerminal())
	}
	c.startProcess()
	return c.finish()
}

// affinity sets the CPUs that the process may use; an empty list changes
// nothing.
func (c *compiler) affinity(pointer, list string) stage.Op {
	c.About(pointer, -1, list)
	set, _ := spec.ParseCPUList(list) // validated
	if list == "" {
		return c.Do("leave as it is", unix.SYS_GETPID)
	}
	return c.Do("sched_setaffinity", unix.SYS_SCHED_SETAFFINITY, stage.Imm(0), stage.Imm(8*len(set)), c.U64(set[:]...))
}

// enter joins all the container's namespaces at once, by the pidfd of its
// first process.
func (c *compiler) enter() {
	var flags uint64
	for i := range c.spec.Linux.Namespaces {
		flags |= c.spec.Linux.Namespaces[i].Flag
	}
	flags &^= c.in.Cloned
	if flags == 0 {
		return
	}
	c.About("", -1, "")
	join := func(flags uint64) stage.Op {
		return c.Do("join the container's namespaces", unix.SYS_SETNS, stage.Imm(c.in.FDs.PidNS), stage.Imm(int(flags)))
	}
	all := join(flags)
	if others := flags &^ unix.CLONE_NEWUSER; others != flags {
		// That its user namespace does not own them all takes the host's root.
		apart, done := c.NewLabel(), c.NewLabel()
		all.Else(apart)
		c.Goto(done)
		c.Place(apart)
		if others != 0 {
			join(others)
		}
		join(unix.CLONE_NEWUSER)
		c.Place(done)
		c.becomeRoot()
	}
	if flags&unix.CLONE_NEWPID != 0 {
		// setns(2) moves children only.
		c.fork()
	}
}
