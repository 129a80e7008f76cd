package plan

import (
	"encoding/binary"

	"ostia/internal/spec"
	"ostia/internal/stage"

	"golang.org/x/sys/unix"
)

// startProcess gives the process its limits and identity and ends in the
// entry point. It is the same for create, run and exec.
func (c *compiler) startProcess() {
	if c.in.Machine != nil {
		c.startMachine()
		return
	}
	c.askHome()
	c.ownStdio(c.in.Process)
	c.rlimits(c.in.Process)
	c.identity()
	c.execute()
}

// identity is what the process is: where, who, and what it may do.
func (c *compiler) identity() {
	p := c.in.Process
	c.workingDirectory(p)
	caps := p.Capabilities
	if caps == nil {
		caps = &spec.Capabilities{}
	}
	c.landlockRules()
	c.boundingSet(caps)
	c.ids(p)
	c.capabilities(caps, p.NoNewPrivileges)
	if p.NoNewPrivileges {
		c.About("process.noNewPrivileges", -1, "")
		c.Do("set", unix.SYS_PRCTL, stage.Imm(unix.PR_SET_NO_NEW_PRIVS), stage.Imm(1), stage.Imm(0), stage.Imm(0), stage.Imm(0))
	}
	c.About("process.user.umask", -1, "")
	umask := 0o022
	if p.User.Umask != nil {
		umask = int(*p.User.Umask)
	}
	c.Do("umask", unix.SYS_UMASK, stage.Imm(umask))
	c.landlock()
}

func (c *compiler) rlimits(p *spec.Process) {
	for i, r := range p.Rlimits {
		c.About("process.rlimits", i, spec.RlimitName(r.Type))
		c.Do("set", unix.SYS_PRLIMIT64, stage.Imm(0), stage.Imm(r.Type), c.U64(r.Soft, r.Hard), stage.Imm(0))
	}
}

// ownStdio gives the pipes, sockets and files that the process has for its
// standard streams to its user, or opening /dev/stdout would be denied to all
// but root. Devices stay whose they are: a terminal of the caller's outlives the
// container. So does a file to be read, which may be anybody's. What may not be
// given away is left alone, as with runc and crun.
func (c *compiler) ownStdio(p *spec.Process) {
	if p.Terminal || p.User.UID == 0 && p.User.GID == 0 {
		return
	}
	c.About("process.user", -1, "")
	for fd := range 3 {
		give, next := c.NewLabel(), c.NewLabel()
		c.Do("stat", unix.SYS_FSTAT, stage.Imm(fd), c.stat()).Else(next)
		if fd == 0 {
			socket := c.NewLabel()
			c.If(c.statMode().Val(), unix.S_IFMT, unix.S_IFIFO, socket)
			c.Goto(give)
			c.Place(socket)
			c.If(c.statMode().Val(), unix.S_IFMT, unix.S_IFSOCK, next)
		} else {
			// Pipes, sockets and regular files have one of the two bits, the other types have none.
			c.If(c.statMode().Val(), unix.S_IFREG|unix.S_IFIFO, 0, give)
			c.Goto(next)
		}
		c.Place(give)
		c.Do("set owner", unix.SYS_FCHOWN, stage.Imm(fd), stage.Imm(int(int32(p.User.UID))), stage.Imm(int(int32(p.User.GID)))).Else(next)
		c.Place(next)
	}
}

// makeWorkingDirectory makes process.cwd if it is missing, once the
// container's tree is the root and while that can still be written to.
func (c *compiler) makeWorkingDirectory(p *spec.Process) {
	if p.Cwd == "" || p.Cwd == "/" {
		return
	}
	c.About("process.cwd", -1, p.Cwd)
	done, missing := c.NewLabel(), c.NewLabel()
	c.Do("look for", unix.SYS_FACCESSAT, stage.Imm(unix.AT_FDCWD), c.Str(p.Cwd), stage.Imm(unix.F_OK)).Else(missing)
	c.Goto(done)
	c.Place(missing)
	errno := c.Cell()
	c.Set(errno, c.FailedErrno())
	c.If(errno.Val(), -1, int(unix.ENOENT), done) // what else is wrong shows when it is entered
	for i := 1; i <= len(p.Cwd); i++ {
		if i == len(p.Cwd) || p.Cwd[i] == '/' {
			c.Do("make directory", unix.SYS_MKDIRAT, stage.Imm(unix.AT_FDCWD), c.Str(p.Cwd[:i]), stage.Imm(0o755)).Ignore(unix.EEXIST)
		}
	}
	c.Place(done)
}

// workingDirectory enters process.cwd before the ids change, as root of the
// container would.
func (c *compiler) workingDirectory(p *spec.Process) {
	if p.Cwd == "" || p.Cwd == "/" {
		return
	}
	c.About("process.cwd", -1, p.Cwd)
	c.Do("enter", unix.SYS_CHDIR, c.Str(p.Cwd))
	// getcwd(2) of a directory outside of the root begins with "(unreachable)"
	// (CVE-2024-21626).
	c.Do("read back", unix.SYS_GETCWD, c.report.head, stage.Imm(HeadSize))
	c.Require("leads out of the container", stage.CellAt(c.report.head, 0).Val(), 0xff, '/', unix.EXDEV)
}

// boundingSet drops what is not in it. A capability that the kernel does not
// know is EINVAL.
func (c *compiler) boundingSet(caps *spec.Capabilities) {
	c.About("process.capabilities.bounding", -1, "")
	zero := stage.Imm(0)
	for i := range unix.CAP_LAST_CAP + 1 {
		if caps.Bounding>>i&1 == 0 {
			c.Do("drop", unix.SYS_PRCTL, stage.Imm(unix.PR_CAPBSET_DROP), stage.Imm(i), zero, zero, zero).Ignore(unix.EINVAL)
		}
	}
	c.Do("keep capabilities", unix.SYS_PRCTL, stage.Imm(unix.PR_SET_KEEPCAPS), stage.Imm(1), zero, zero, zero)
}

func (c *compiler) ids(p *spec.Process) {
	if !c.spec.Extensions.KeepGroups {
		c.groups(p.User.AdditionalGids)
	}
	gid, uid := stage.Imm(int(int32(p.User.GID))), stage.Imm(int(int32(p.User.UID)))
	c.About("process.user.gid", -1, "")
	c.Do("setresgid", unix.SYS_SETRESGID, gid, gid, gid)
	c.About("process.user.uid", -1, "")
	c.Do("setresuid", unix.SYS_SETRESUID, uid, uid, uid)
}

func (c *compiler) groups(gids []uint32) {
	c.About("process.user.additionalGids", -1, "")
	list := make([]byte, 0, 4*len(gids))
	for _, g := range gids {
		list = binary.LittleEndian.AppendUint32(list, g)
	}
	o := c.Do("setgroups", unix.SYS_SETGROUPS, stage.Imm(len(gids)), c.Bytes(list))
	if len(gids) == 0 {
		// Denied in a user namespace that an ordinary user made, where there
		// is nothing to drop that it may drop (user_namespaces(7)).
		o.Ignore(unix.EPERM)
	}
}

const capabilityVersion3 = 0x20080522

// capabilities sets the final sets. Without no_new_privs the seccomp filter
// needs CAP_SYS_ADMIN: it stays permitted, not effective, until the filter is
// in (see seccomp).
func (c *compiler) capabilities(caps *spec.Capabilities, noNewPrivs bool) {
	permitted := caps.Permitted
	if !noNewPrivs && len(c.in.Seccomp.Program) > 0 {
		permitted |= 1 << unix.CAP_SYS_ADMIN
	}
	c.About("process.capabilities", -1, "")
	c.capset(caps.Effective, permitted, caps.Inheritable)
	c.About("process.capabilities.ambient", -1, "")
	zero := stage.Imm(0)
	// One that is not permitted and inheritable cannot be (capabilities(7)): as
	// with runc, the process goes without it.
	ambient := caps.Ambient & caps.Permitted & caps.Inheritable
	for i := range unix.CAP_LAST_CAP + 1 {
		if ambient>>i&1 != 0 {
			c.Do("raise", unix.SYS_PRCTL, stage.Imm(unix.PR_CAP_AMBIENT), stage.Imm(unix.PR_CAP_AMBIENT_RAISE), stage.Imm(i), zero, zero)
		}
	}
}

func (c *compiler) capset(effective, permitted, inheritable uint64) {
	c.Do("capset", unix.SYS_CAPSET, c.U32(capabilityVersion3, 0),
		c.U32(uint32(effective), uint32(permitted), uint32(inheritable),
			uint32(effective>>32), uint32(permitted>>32), uint32(inheritable>>32)))
}

// seccomp loads the filter, as late as can be: what follows is execve and,
// without no_new_privs, one capset.
func (c *compiler) seccomp() {
	f := &c.in.Seccomp
	if len(f.Program) == 0 {
		return
	}
	caps := c.in.Process.Capabilities
	if caps == nil {
		caps = &spec.Capabilities{}
	}
	raise := !c.in.Process.NoNewPrivileges && (caps.Effective>>unix.CAP_SYS_ADMIN&1 == 0 || caps.Permitted>>unix.CAP_SYS_ADMIN&1 == 0)
	c.About("linux.seccomp", -1, "")
	if raise {
		c.capset(caps.Effective|1<<unix.CAP_SYS_ADMIN, caps.Permitted|1<<unix.CAP_SYS_ADMIN, caps.Inheritable)
	}
	fprog := c.filter()
	flags := f.Flags
	if f.Notify {
		flags |= unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
		c.listener(flags, fprog)
	} else {
		c.Do("load the filter", unix.SYS_SECCOMP, stage.Imm(unix.SECCOMP_SET_MODE_FILTER), stage.Imm(int(flags)), fprog)
	}
	if raise {
		c.capset(caps.Effective, caps.Permitted, caps.Inheritable)
	}
}

// filter is a struct sock_fprog.
func (c *compiler) filter() stage.Arg {
	if c.fprog == (stage.Arg{}) {
		c.fprog = c.U64(uint64(len(c.in.Seccomp.Program)/8), 0)
		c.Ptr(c.fprog, 8, c.Bytes(c.in.Seccomp.Program))
	}
	return c.fprog
}

// listener loads a filter with a listener, which the runtime takes from this
// process and hands to the agent at listenerPath.
func (c *compiler) listener(flags uint32, fprog stage.Arg) {
	fd := c.reportWord(ReportValue)
	c.Do("load the filter", unix.SYS_SECCOMP, stage.Imm(unix.SECCOMP_SET_MODE_FILTER), stage.Imm(int(flags)), fprog).To(fd)
	c.milestone(WantListener)
	c.await()
	c.Do("close the listener", unix.SYS_CLOSE, fd.Val())
}
