package plan

import (
	"unsafe"

	"ostia/entrypoint"
	"ostia/internal/linux"
	"ostia/internal/stage"

	"golang.org/x/sys/unix"
)

func (c *compiler) candidates() {
	p := c.in.Process
	c.names = entrypoint.Candidates(p.Args[0], p.Env)
	for _, path := range c.names {
		c.paths = append(c.paths, c.Str(path))
	}
	c.argv, c.env = c.Vec(p.Args), c.environment()
	c.program = c.Cell()
}

// environment is the process's, with room for a HOME that is not known yet.
func (c *compiler) environment() stage.Arg {
	env := c.in.Process.Env
	if !c.in.AskHome {
		return c.Vec(env)
	}
	c.home = c.Buffer(HomeSize)
	vec := c.Vec(append(env[:len(env):len(env)], ""))
	c.Ptr(vec, 8*len(env), c.home)
	return vec
}

// askHome takes HOME from the runtime, which finds it in the container's
// /etc/passwd.
func (c *compiler) askHome() {
	if !c.in.AskHome {
		return
	}
	c.About("process.env", -1, "HOME")
	c.milestone(WantHome)
	n := c.Cell()
	c.Do("wait for the runtime", unix.SYS_READ, stage.Imm(c.in.FDs.Sync), c.home, stage.Imm(HomeSize)).To(n)
	told := c.NewLabel()
	c.If(n.Val(), -1, 0, told)
	c.Require("the runtime is gone", stage.Imm(0), -1, 1, unix.EPIPE)
	c.Place(told)
}

// check asks the kernel whether path may be executed by this process as it is
// now, stores 0 or the negated errno, and goes to no if it may not.
func (c *compiler) check(path stage.Arg, result stage.Cell, no stage.Label) {
	if c.in.Host.ExecveCheck {
		c.Do("may it be executed?", unix.SYS_EXECVEAT, stage.Imm(unix.AT_FDCWD), path, c.argv, c.env, stage.Imm(linux.AT_EXECVE_CHECK)).To(result).Else(no)
		return
	}
	// Before Linux 6.14: a regular file with the execute bit for our effective
	// ids, on a mount that allows it.
	fd, denied, ok := c.Cell(), c.NewLabel(), c.NewLabel()
	fs := c.Buffer(int(unsafe.Sizeof(unix.Statfs_t{})))
	c.Do("may it be executed?", unix.SYS_FACCESSAT2, stage.Imm(unix.AT_FDCWD), path, stage.Imm(unix.X_OK), stage.Imm(unix.AT_EACCESS)).To(result).Else(no)
	c.Do("open", unix.SYS_OPENAT, stage.Imm(unix.AT_FDCWD), path, stage.Imm(unix.O_PATH|unix.O_CLOEXEC)).To(fd).Else(no)
	c.Do("stat", unix.SYS_FSTAT, fd.Val(), c.stat()).Else(denied)
	c.If(c.statMode().Val(), unix.S_IFMT, unix.S_IFREG, denied)
	c.Do("statfs", unix.SYS_FSTATFS, fd.Val(), fs).Else(denied)
	c.If(stage.CellAt(fs, int(unsafe.Offsetof(unix.Statfs_t{}.Flags))).Val(), unix.ST_NOEXEC, 0, denied)
	c.Do("close", unix.SYS_CLOSE, fd.Val()).Else(ok)
	c.Goto(ok)
	c.Place(denied)
	c.Set(result, stage.Imm(-int(unix.EACCES)))
	c.Do("close", unix.SYS_CLOSE, fd.Val()).Else(no)
	c.Goto(no)
	c.Place(ok)
}

// readHead reads the first bytes of a file that may be executed. One that may
// not be read is reported with the head length Unreadable.
func (c *compiler) readHead(path stage.Arg) {
	fd, length, unreadable := c.Cell(), c.Cell(), c.NewLabel()
	c.Set(c.reportWord(ReportHead), stage.Imm(Unreadable))
	c.Do("open to read", unix.SYS_OPENAT, stage.Imm(unix.AT_FDCWD), path, stage.Imm(unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY)).To(fd).Else(unreadable)
	c.Do("stat", unix.SYS_FSTAT, fd.Val(), c.stat()).Else(unreadable)
	size := int(unsafe.Offsetof(unix.Stat_t{}.Size))
	c.Set(c.reportWord(ReportSize), stage.CellAt(c.stat(), size).Val())
	c.Set(c.reportWord(ReportSize+4), stage.CellAt(c.stat(), size+4).Val())
	c.Do("read", unix.SYS_READ, fd.Val(), c.report.head, stage.Imm(HeadSize)).To(length).Else(unreadable)
	c.Set(c.reportWord(ReportHead), length.Val())
	c.Do("close", unix.SYS_CLOSE, fd.Val())
	c.Place(unreadable)
}

// execute is the plan's end: the verdict and the execve.
func (c *compiler) execute() {
	c.About("process.args[0]", -1, c.in.Process.Args[0])
	notify := len(c.in.Seccomp.Program) > 0 && c.in.Seccomp.Notify
	if notify {
		// The listener must reach its agent before create returns.
		c.seccomp()
		c.About("process.args[0]", -1, c.in.Process.Args[0])
	}
	// From here on the end of the socket tells that the runtime is gone. It may
	// end as soon as it has given its word.
	c.Do("forget the parent", unix.SYS_PRCTL, stage.Imm(unix.PR_SET_PDEATHSIG), stage.Imm(0))
	c.blockDeadly()
	if c.in.Ask {
		c.find()
		c.beJudged()
	}
	if c.in.Wait {
		c.waitForStart()
	}
	c.startContainerHooks()
	c.About("process.args[0]", -1, c.in.Process.Args[0])
	c.WriteTrace(c.in.FDs.Trace)
	if !notify {
		c.seccomp()
		c.About("process.args[0]", -1, c.in.Process.Args[0])
	}
	if !c.in.Ask {
		c.executeFirst()
		return
	}
	o := c.Do("execute", unix.SYS_EXECVE, c.program.Val(), c.argv, c.env)
	if c.in.Wait {
		late := c.NewLabel()
		o.Else(late)
		c.Place(late)
		c.tooLate()
	}
}

// executeFirst executes the first candidate that it can: execve itself is the
// verdict. Like execvp(3) it goes on past what is missing or not permitted.
func (c *compiler) executeFirst() {
	for i, path := range c.paths {
		o := c.Do("execute", unix.SYS_EXECVE, path, c.argv, c.env).To(c.result(i))
		if i == len(c.paths)-1 {
			return // the failure stands
		}
		failed, next, errno := c.NewLabel(), c.NewLabel(), c.Cell()
		o.Else(failed)
		c.Place(failed)
		c.Set(errno, c.FailedErrno())
		for _, e := range [...]unix.Errno{unix.ENOENT, unix.EACCES} {
			other := c.NewLabel()
			c.If(errno.Val(), -1, int(e), other)
			c.Goto(next)
			c.Place(other)
		}
		c.Expect("execute", errno, unix.ENOTDIR)
		c.Place(next)
	}
	c.Require("execute", stage.Imm(0), -1, 1, unix.ENOENT)
}

// find looks for the first candidate that may be executed. When there is none,
// the runtime makes the verdict from the results of all.
func (c *compiler) find() {
	found := c.NewLabel()
	for i, path := range c.paths {
		next := c.NewLabel()
		c.check(path, c.result(i), next)
		c.Set(c.program, path)
		c.Set(c.result(i), stage.Imm(Tried))
		c.Goto(found)
		c.Place(next)
	}
	c.Require("execute", stage.Imm(0), -1, 1, unix.ENOENT)
	c.Place(found)
}

// beJudged reports the first bytes of the entry point and waits for the
// verdict on them.
func (c *compiler) beJudged() {
	goOn := c.NewLabel()
	c.readHead(c.program.Val())
	c.milestone(WantWord)
	end := c.NewLabel()
	c.answer(goOn, end)
	c.Place(end)
	c.exit(125)
	c.Place(goOn)
}

// waitForStart closes all but the exec fifo and reads it. The runtime opened
// it for reading and writing before the root changed, so it depends on no
// path and never sees an end of file.
func (c *compiler) waitForStart() {
	fds := &c.in.FDs
	c.Do("close the socket", unix.SYS_CLOSE, stage.Imm(fds.Sync))
	if c.endsBySignal() {
		c.endBySignalUntil(fds.Start)
	}
	c.Do("wait for start", unix.SYS_READ, stage.Imm(fds.Start), c.report.head, stage.Imm(1))
}

// deadly are the signals that end a container that waits for start.
var deadly = [...]unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT}

const sigsetSize = 8

// endsBySignal reports whether it takes something for that: a pid namespace's
// first process that has no handlers does not get signals
// (pid_namespaces(7)), unless they are blocked. A filter that is loaded
// already need not allow what it takes.
func (c *compiler) endsBySignal() bool {
	return c.in.Wait && c.isNew(unix.CLONE_NEWPID) && !c.in.Seccomp.Notify
}

// blockDeadly has these signals kept from now on, before the runtime can say
// that the container is there.
func (c *compiler) blockDeadly() {
	if !c.endsBySignal() {
		return
	}
	set := uint64(0)
	for _, sig := range deadly {
		set |= 1 << (sig - 1)
	}
	c.blocked, c.before = c.U64(set), c.U64(0)
	c.Do("block signals", unix.SYS_RT_SIGPROCMASK, stage.Imm(unix.SIG_BLOCK), c.blocked, c.before, stage.Imm(sigsetSize))
}

// endBySignalUntil waits until fd can be read, or ends by a blocked signal.
func (c *compiler) endBySignalUntil(fd int) {
	const pending = unix.POLLIN << 16 // of pollfd.revents
	polled := c.U32(uint32(fd), unix.POLLIN, 0, unix.POLLIN)
	signals, revents := stage.CellAt(polled, 8), stage.CellAt(polled, 12)
	none := c.NewLabel()
	zero, size := stage.Imm(0), stage.Imm(sigsetSize)
	c.Do("signalfd", unix.SYS_SIGNALFD4, stage.Imm(-1), c.blocked, size, stage.Imm(unix.SFD_CLOEXEC)).To(signals)
	c.Do("wait for start or a signal", unix.SYS_PPOLL, polled, stage.Imm(2), zero, zero, zero)
	c.If(revents.Val(), pending, pending, none)
	c.Do("read the signal", unix.SYS_READ, signals.Val(), c.report.head, stage.Imm(HeadSize))
	for _, sig := range deadly {
		other := c.NewLabel()
		c.If(stage.CellAt(c.report.head, 0).Val(), -1, int(sig), other)
		c.exit(128 + int(sig))
		c.Place(other)
	}
	c.Place(none)
	c.Do("close", unix.SYS_CLOSE, signals.Val())
	c.Do("unblock signals", unix.SYS_RT_SIGPROCMASK, stage.Imm(unix.SIG_SETMASK), c.before, zero, size)
}

// tooLate is the end of a container whose execve failed after start had
// reported success: one line on its stderr, and the status that a shell gives.
func (c *compiler) tooLate() {
	errno, found, missing, exit := c.Cell(), c.NewLabel(), c.NewLabel(), c.NewLabel()
	say := func(e unix.Errno, next stage.Label) (status int) {
		line, status := entrypoint.Late(c.in.Process.Args[0], e)
		c.Do("say why", unix.SYS_WRITE, stage.Imm(2), c.Str(line), stage.Imm(len(line))).Else(next)
		return status
	}
	c.Set(errno, c.FailedErrno())
	c.If(errno.Val(), -1, int(unix.ENOENT), found)
	notFound := say(unix.ENOENT, missing)
	c.Place(missing)
	c.exit(notFound)
	c.Place(found)
	for _, e := range [...]unix.Errno{
		unix.EACCES, unix.EPERM, unix.ENOEXEC, unix.ETXTBSY, unix.E2BIG, unix.ELOOP, unix.ELIBBAD,
		unix.EINVAL, unix.EAGAIN, unix.ENOMEM, unix.EIO,
	} {
		other := c.NewLabel()
		c.If(errno.Val(), -1, int(e), other)
		say(e, exit)
		c.Goto(exit)
		c.Place(other)
	}
	cannotRun := say(0, exit)
	c.Place(exit)
	c.exit(cannotRun)
}
