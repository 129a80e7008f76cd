package plan

import (
	"strconv"

	"ostia/internal/spec"
	"ostia/internal/stage"

	"golang.org/x/sys/unix"
)

// BornWith are the new namespaces that a stage is best cloned into, when no
// other is to be joined first: a new pid namespace is for children only, and
// a user namespace must exist before what it owns.
func BornWith(s *spec.Spec) uint64 {
	var flags, paths uint64
	for i := range s.Linux.Namespaces {
		n := &s.Linux.Namespaces[i]
		if n.Path == "" {
			flags |= n.Flag
		} else {
			paths |= n.Flag
		}
	}
	if paths&(unix.CLONE_NEWUSER|unix.CLONE_NEWPID) != 0 || paths != 0 && flags&unix.CLONE_NEWUSER != 0 {
		return 0
	}
	// A cgroup namespace's root is the cgroup of the task that makes it, and at
	// clone that is the parent's. A time namespace wants its offsets first. In a
	// user namespace the others are made by its root: a mqueue made at clone
	// would belong to nobody.
	flags &^= unix.CLONE_NEWCGROUP | unix.CLONE_NEWTIME
	if flags&unix.CLONE_NEWUSER != 0 {
		flags &= unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNS
	}
	return flags
}

const flagMask = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWNET |
	unix.CLONE_NEWPID | unix.CLONE_NEWUSER | unix.CLONE_NEWCGROUP | unix.CLONE_NEWTIME

// namespaces joins the ones given by path and makes the rest.
func (c *compiler) namespaces() error {
	var fresh uint64
	for i := range c.spec.Linux.Namespaces {
		if n := &c.spec.Linux.Namespaces[i]; n.Path == "" {
			fresh |= n.Flag
		}
	}
	fresh &= flagMask &^ c.in.Cloned
	if c.in.Tree {
		fresh &^= unix.CLONE_NEWNS // treeNamespace makes it
	}

	// A new user namespace comes after what the host's root is to join, and
	// before what it is to own.
	if c.joins(unix.CLONE_NEWUSER) {
		c.joinWithUser()
	} else {
		c.join(^uint64(0))
	}
	if fd := c.in.FDs.Network; fd >= 0 {
		c.About("linux.namespaces", -1, "network")
		c.Do("enter the new namespace", unix.SYS_SETNS, stage.Imm(fd), stage.Imm(unix.CLONE_NEWNET))
		fresh &^= unix.CLONE_NEWNET
	}
	if fresh&unix.CLONE_NEWUSER != 0 {
		c.newUserNS()
		fresh &^= unix.CLONE_NEWUSER
	}

	fork := fresh&unix.CLONE_NEWPID != 0 || c.joins(unix.CLONE_NEWPID)
	if fresh&unix.CLONE_NEWTIME != 0 {
		if err := c.timeNS(); err != nil {
			return err
		}
		fresh &^= unix.CLONE_NEWTIME
	}
	if fresh != 0 {
		c.About("linux.namespaces", -1, "")
		c.Do("unshare", unix.SYS_UNSHARE, stage.Imm(int(fresh)))
	}
	if fork {
		c.fork()
	}
	return nil
}

// joinWithUser joins a user namespace and others: what belongs to another user
// namespace can be joined only before, by the host's root, and for an ordinary
// user what belongs to this one only after.
func (c *compiler) joinWithUser() {
	early := make([]stage.Cell, len(c.in.FDs.Join))
	for i, j := range c.in.FDs.Join {
		if j.Flag != unix.CLONE_NEWUSER {
			early[i] = c.Cell()
			c.setns(j).Ignore(unix.EPERM).To(early[i])
		}
	}
	c.join(unix.CLONE_NEWUSER)
	c.becomeRoot()
	for i, j := range c.in.FDs.Join {
		if j.Flag != unix.CLONE_NEWUSER {
			late, done := c.NewLabel(), c.NewLabel()
			c.If(early[i].Val(), -1, 0, late)
			c.Goto(done)
			c.Place(late)
			c.setns(j)
			c.Place(done)
		}
	}
}

// join joins the namespaces whose kind is in flags.
func (c *compiler) join(flags uint64) {
	for _, j := range c.in.FDs.Join {
		if j.Flag&flags != 0 {
			c.setns(j)
		}
	}
}

func (c *compiler) setns(j Join) stage.Op {
	n := &c.spec.Linux.Namespaces[j.Index]
	c.About("linux.namespaces", j.Index, n.Path)
	return c.Do("join the "+n.Type+" namespace", unix.SYS_SETNS, stage.Imm(j.FD), stage.Imm(int(j.Flag)))
}

func (c *compiler) joins(flag uint64) bool {
	for _, j := range c.in.FDs.Join {
		if j.Flag == flag {
			return true
		}
	}
	return false
}

// newUserNS makes the user namespace and waits until the runtime, or
// newuidmap(1) for it, has written the mappings.
func (c *compiler) newUserNS() {
	c.About("linux.namespaces", -1, "user")
	c.Do("unshare", unix.SYS_UNSHARE, stage.Imm(unix.CLONE_NEWUSER))
	c.milestone(WantMaps)
	c.await()
	c.becomeRoot()
}

// becomeRoot takes uid and gid 0 of the user namespace, which own what it
// makes. setgroups may be denied there (user_namespaces(7)).
func (c *compiler) becomeRoot() {
	zero := stage.Imm(0)
	c.Do("become root of the user namespace", unix.SYS_SETRESGID, zero, zero, zero)
	c.Do("become root of the user namespace", unix.SYS_SETRESUID, zero, zero, zero)
	if !c.spec.Extensions.KeepGroups {
		c.Do("drop groups", unix.SYS_SETGROUPS, zero, zero).Ignore(unix.EPERM)
	}
}

// timeNS makes a time namespace, sets its offsets while nobody is in it, and
// moves into it (time_namespaces(7)).
func (c *compiler) timeNS() error {
	c.About("linux.namespaces", -1, "time")
	c.Do("unshare", unix.SYS_UNSHARE, stage.Imm(unix.CLONE_NEWTIME))
	if len(c.spec.Linux.TimeOffsets) > 0 {
		text := ""
		for _, o := range c.spec.Linux.TimeOffsets {
			text += o.Clock + " " + strconv.FormatInt(o.Secs, 10) + " " + strconv.FormatUint(uint64(o.Nanosecs), 10) + "\n"
		}
		c.About("linux.timeOffsets", -1, "")
		c.writeFile("/proc/self/timens_offsets", text)
	}
	fd := c.Cell()
	c.About("linux.namespaces", -1, "time")
	c.Do("open", unix.SYS_OPENAT, stage.Imm(unix.AT_FDCWD), c.Str("/proc/self/ns/time_for_children"), stage.Imm(unix.O_RDONLY|unix.O_CLOEXEC)).To(fd)
	c.Do("enter", unix.SYS_SETNS, fd.Val(), stage.Imm(unix.CLONE_NEWTIME))
	c.Do("close", unix.SYS_CLOSE, fd.Val())
	return nil
}

// fork goes on in a child, which is in the new pid namespace and the runtime's
// child like this process, which reports the child's pid and ends.
func (c *compiler) fork() {
	c.forks = true
	pid := c.reportWord(ReportValue)
	c.About("linux.namespaces", -1, "pid")
	c.Do("fork", unix.SYS_CLONE, stage.Imm(unix.CLONE_PARENT|int(unix.SIGCHLD)), stage.Imm(0), stage.Imm(0), stage.Imm(0), stage.Imm(0)).To(pid)
	isChild, isParent := c.NewLabel(), c.NewLabel()
	c.If(pid.Val(), -1, 0, isParent)
	c.Goto(isChild)
	c.Place(isParent)
	c.milestone(Forked)
	c.exit(0)
	c.Place(isChild)
	c.dieWithRuntime()
}

func (c *compiler) dieWithRuntime() {
	c.Do("die with the runtime", unix.SYS_PRCTL, stage.Imm(unix.PR_SET_PDEATHSIG), stage.Imm(int(unix.SIGKILL)))
}

// writeFile writes text to a file of the host's /proc in one write.
func (c *compiler) writeFile(path, text string) {
	fd := c.Cell()
	c.Do("open "+path, unix.SYS_OPENAT, stage.Imm(unix.AT_FDCWD), c.Str(path), stage.Imm(unix.O_WRONLY|unix.O_CLOEXEC)).To(fd)
	c.Do("write "+path, unix.SYS_WRITE, fd.Val(), c.Str(text), stage.Imm(len(text)))
	c.Do("close", unix.SYS_CLOSE, fd.Val())
}
