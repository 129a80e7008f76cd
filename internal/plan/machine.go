package plan

import (
	"ostia/internal/stage"

	"golang.org/x/sys/unix"
)

// Machine is what a plan executes in place of the entry point when a virtual
// machine is to run that.
type Machine struct {
	Program int      // descriptor of the monitor, or of an exec's proxy
	Args    []string // its arguments, its name first
	Keep    []int    // descriptors that it inherits
	Network bool     // it joins the machine to the container's network, by CAP_NET_ADMIN
}

// machineEnv keeps the heap of the machine's program in small pages: of two
// megabytes each, where transparent huge pages are always given, it holds two
// to four megabytes that nothing uses. The guest's memory, which the program
// maps by itself, stays in huge ones.
var machineEnv = [...]string{"GODEBUG=disablethp=1"}

// startMachine has the entry point judged by a process that is what the entry
// point will be, and then executes the machine's program, with root's id and
// the capabilities that serving files takes. Limits, identity and seccomp of
// the process are set in the guest.
func (c *compiler) startMachine() {
	c.About("", -1, "")
	// As in execute: the runtime may end as soon as it has given its word, and
	// the end of the socket tells the child that it is gone.
	c.Do("forget the parent", unix.SYS_PRCTL, stage.Imm(unix.PR_SET_PDEATHSIG), stage.Imm(0))
	c.blockDeadly()
	c.judgeInChild()
	if c.in.Wait {
		c.waitForStart()
	}
	c.startContainerHooks()
	c.About("", -1, "ostia-vmm")
	c.WriteTrace(c.in.FDs.Trace)
	kept := machineCapabilities()
	if c.in.Machine.Network {
		kept |= 1 << unix.CAP_NET_ADMIN
	}
	c.dropAllBut(kept)
	zero := stage.Imm(0)
	c.Do("no new privileges", unix.SYS_PRCTL, stage.Imm(unix.PR_SET_NO_NEW_PRIVS), stage.Imm(1), zero, zero, zero)
	m := c.in.Machine
	for _, fd := range m.Keep {
		c.Do("hand over a descriptor", unix.SYS_FCNTL, stage.Imm(fd), stage.Imm(unix.F_SETFD), zero)
	}
	c.Do("execute", unix.SYS_EXECVEAT, stage.Imm(m.Program), c.empty, c.Vec(m.Args), c.Vec(machineEnv[:]), stage.Imm(unix.AT_EMPTY_PATH))
}

// judgeInChild forks a process that takes the entry point's identity and is
// judged. It ends; this process goes on as it was.
func (c *compiler) judgeInChild() {
	pid, status := c.Cell(), c.Cell()
	isParent, isChild := c.NewLabel(), c.NewLabel()
	zero := stage.Imm(0)
	c.About("process.args[0]", -1, c.in.Process.Args[0])
	c.Do("fork", unix.SYS_CLONE, stage.Imm(int(unix.SIGCHLD)), zero, zero, zero, zero).To(pid)
	c.If(pid.Val(), -1, 0, isParent)
	c.Goto(isChild)

	c.Place(isChild)
	c.dieWithRuntime()
	c.identity()
	c.About("process.args[0]", -1, c.in.Process.Args[0])
	c.find()
	c.beJudged()
	c.exit(0)

	c.Place(isParent)
	c.Do("wait for the verdict", unix.SYS_WAIT4, pid.Val(), status.Addr(), zero, zero)
	c.Require("the verdict did not come", status.Val(), -1, 0, unix.ECHILD)
}

// machineCapabilities are those of a file server.
func machineCapabilities() uint64 {
	return 1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH | 1<<unix.CAP_FOWNER |
		1<<unix.CAP_FSETID | 1<<unix.CAP_SETGID | 1<<unix.CAP_SETUID | 1<<unix.CAP_SETFCAP
}

// dropAllBut leaves the process, and what it executes as root, these
// capabilities.
func (c *compiler) dropAllBut(kept uint64) {
	zero := stage.Imm(0)
	for i := range unix.CAP_LAST_CAP + 1 {
		if kept>>i&1 == 0 {
			c.Do("drop capability", unix.SYS_PRCTL, stage.Imm(unix.PR_CAPBSET_DROP), stage.Imm(i), zero, zero, zero).Ignore(unix.EINVAL)
		}
	}
	c.capset(kept, kept, 0)
}
