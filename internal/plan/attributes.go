package plan

import (
	"strconv"
	"strings"

	"ostia/internal/stage"

	"golang.org/x/sys/unix"
)

// attributes sets what takes the host's privileges: the process's own OOM
// score, scheduling and I/O priority. It runs before any namespace is made.
func (c *compiler) attributes() {
	p := c.in.Process
	if p.OOMScoreAdj != nil {
		c.About("process.oomScoreAdj", -1, "")
		c.writeFile("/proc/self/oom_score_adj", strconv.Itoa(*p.OOMScoreAdj))
	}
	// A machine's process has its scheduler in the guest. On the host a guest that never rests would keep a real-time monitor's
	// other threads from running.
	if s := p.Scheduler; s != nil && c.in.Machine == nil {
		c.About("process.scheduler", -1, "")
		// struct sched_attr, 48 bytes (SCHED_ATTR_SIZE_VER0).
		attr := c.U64(48|uint64(s.Policy)<<32, s.Flags, uint64(uint32(s.Nice))|uint64(uint32(s.Priority))<<32,
			s.Runtime, s.Deadline, s.Period)
		c.Do("sched_setattr", unix.SYS_SCHED_SETATTR, stage.Imm(0), attr, stage.Imm(0))
	}
	if p.IOPriority != nil {
		c.About("process.ioPriority", -1, "")
		const whoProcess, classShift = 1, 13
		c.Do("ioprio_set", unix.SYS_IOPRIO_SET, stage.Imm(whoProcess), stage.Imm(0), stage.Imm(p.IOPriority.Class<<classShift|p.IOPriority.Priority))
	}
	if m := c.spec.Linux.MemoryPolicy; m != nil {
		c.About("linux.memoryPolicy", -1, "")
		// The kernel takes one bit less than it is told of (set_mempolicy(2)).
		c.Do("set_mempolicy", unix.SYS_SET_MEMPOLICY, stage.Imm(m.Mode), c.U64(m.Nodes[:]...), stage.Imm(64*len(m.Nodes)+1))
	}
	if pers := c.spec.Linux.Personality; pers != nil {
		c.About("linux.personality", -1, "")
		c.Do("personality", unix.SYS_PERSONALITY, stage.Imm(int(pers.Domain)))
	}
}

// sysctls writes linux.sysctl through a descriptor of the host's procfs that
// is checked to be one, while the container's tree is not yet in sight: the
// values of the new namespaces show in every procfs (CVE-2025-52881).
func (c *compiler) sysctls() {
	if len(c.spec.Linux.Sysctl) == 0 {
		return
	}
	c.About("linux.sysctl", -1, "")
	proc, fd := c.Cell(), c.Cell()
	c.Do("open /proc", unix.SYS_OPENAT, stage.Imm(unix.AT_FDCWD), c.Str("/proc"), stage.Imm(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)).To(proc)
	fs := c.Buffer(128)
	c.Do("statfs", unix.SYS_FSTATFS, proc.Val(), fs)
	c.Require("/proc is not a procfs", stage.CellAt(fs, 0).Val(), -1, unix.PROC_SUPER_MAGIC, unix.EXDEV)
	how := c.U64(unix.O_WRONLY|unix.O_CLOEXEC, 0, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_SYMLINKS|unix.RESOLVE_NO_MAGICLINKS|unix.RESOLVE_NO_XDEV)
	for _, kv := range c.spec.Linux.Sysctl {
		c.About("linux.sysctl", -1, kv.Key)
		c.openat2("open", proc.Val(), c.Str("sys/"+SysctlPath(kv.Key)), how).To(fd)
		c.Do("write "+kv.Value, unix.SYS_WRITE, fd.Val(), c.Str(kv.Value), stage.Imm(len(kv.Value)))
		c.Do("close", unix.SYS_CLOSE, fd.Val())
	}
	c.Do("close", unix.SYS_CLOSE, proc.Val())
}

// SysctlPath is where a sysctl is below /proc/sys. sysctl(8): dots separate,
// unless the first separator is a slash.
func SysctlPath(key string) string {
	if i := strings.IndexAny(key, "./"); i < 0 || key[i] == '/' {
		return key
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case '.':
			return '/'
		case '/':
			return '.'
		}
		return r
	}, key)
}

// session begins a new session, which can have a terminal of its own, with a
// session keyring of its own, so that it cannot reach the keys of who started
// it. It is the last process that begins it: a fork's child leads no session.
func (c *compiler) session() {
	c.About("", -1, "")
	c.Do("new session", unix.SYS_SETSID).Ignore(unix.EPERM)
	if c.in.NoNewKeyring {
		return
	}
	join, name := stage.Imm(unix.KEYCTL_JOIN_SESSION_KEYRING), c.Str("_ses."+c.in.ID)
	if c.in.Exec {
		c.Do("session keyring", unix.SYS_KEYCTL, join, name).Ignore(unix.ENOSYS)
		return
	}
	keyring, none, errno, done := c.Cell(), c.NewLabel(), c.Cell(), c.NewLabel()
	c.Do("session keyring", unix.SYS_KEYCTL, join, name).To(keyring).Else(none)
	c.Do("have exec find it", unix.SYS_KEYCTL, stage.Imm(unix.KEYCTL_SETPERM), keyring.Val(), stage.Imm(c.keyPermissions()))
	c.Goto(done)
	c.Place(none)
	c.Set(errno, c.FailedErrno())
	c.Expect("session keyring", errno, unix.ENOSYS)
	c.Place(done)
}

// keyPermissions are those of a new session keyring and, as with runc, leave to
// search it, without which exec would get one of its own: its owner's, or in a
// user namespace, where the owner may be another, everybody's.
func (c *compiler) keyPermissions() int {
	const (
		created     = 0x3f130000 // all for who possesses it; view, read and link for its owner
		ownerSearch = 0x00080000
		otherSearch = 0x00000008
	)
	if c.in.Host.UserNS {
		return created | otherSearch
	}
	return created | ownerSearch
}

// hostname sets hostname and domainname.
func (c *compiler) hostname() {
	if h := c.spec.Hostname; h != "" {
		c.About("hostname", -1, h)
		c.Do("sethostname", unix.SYS_SETHOSTNAME, c.Str(h), stage.Imm(len(h)))
	}
	if d := c.spec.Domainname; d != "" {
		c.About("domainname", -1, d)
		c.Do("setdomainname", unix.SYS_SETDOMAINNAME, c.Str(d), stage.Imm(len(d)))
	}
}

// loopback brings lo up in a new network namespace.
func (c *compiler) loopback() {
	if !c.isNew(unix.CLONE_NEWNET) || c.in.FDs.Network >= 0 {
		return
	}
	c.About("", -1, "lo")
	sock := c.Cell()
	ifreq := make([]byte, 40)
	copy(ifreq, "lo")
	ifreq[16] = unix.IFF_UP | unix.IFF_RUNNING
	c.Do("socket", unix.SYS_SOCKET, stage.Imm(unix.AF_INET), stage.Imm(unix.SOCK_DGRAM|unix.SOCK_CLOEXEC), stage.Imm(0)).To(sock)
	c.Do("set it up", unix.SYS_IOCTL, sock.Val(), stage.Imm(unix.SIOCSIFFLAGS), c.Bytes(ifreq))
	c.Do("close", unix.SYS_CLOSE, sock.Val())
}
