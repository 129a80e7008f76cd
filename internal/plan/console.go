package plan

import (
	"ostia/internal/stage"

	"golang.org/x/sys/unix"
)

// console makes the terminal in the container's devpts, sends its master to
// the console socket, and makes it stdin, stdout, stderr, the controlling
// terminal and /dev/console.
func (c *compiler) console() {
	if !c.in.Process.Terminal {
		return
	}
	c.About("process.terminal", -1, "")
	peer := c.openTerminal()
	dev := c.devDir()
	c.About("process.terminal", -1, "/dev/console")
	// The name is made anew and never followed; the terminal is mounted by
	// descriptor (CVE-2025-52565).
	tree, at, name := c.Cell(), c.Cell(), c.Str("console")
	c.Do("make file", unix.SYS_MKNODAT, dev.Val(), name, stage.Imm(unix.S_IFREG|0o620), stage.Imm(0)).Ignore(unix.EEXIST)
	c.openat2("resolve", dev.Val(), name, c.how(unix.O_NOFOLLOW, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_SYMLINKS)).To(at)
	c.Do("clone", unix.SYS_OPEN_TREE, peer.Val(), c.empty, stage.Imm(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)).To(tree)
	c.attach(tree, at)
	c.useTerminal(peer)
}

// openTerminal makes a terminal and sends its master away. It returns a cell
// with the other end.
func (c *compiler) openTerminal() stage.Cell {
	// struct msghdr with one byte of data and one descriptor (SCM_RIGHTS).
	const cmsgLen, msghdrSize = 20, 56
	cmsg := c.U64(cmsgLen, unix.SOL_SOCKET|unix.SCM_RIGHTS<<32, 0)
	master, peer := stage.CellAt(cmsg, 16), c.Cell()
	name := c.Str("/dev/ptmx")
	iov := c.U64(0, uint64(len("/dev/ptmx")))
	c.Ptr(iov, 0, name)
	msg := c.U64(0, 0, 0, 1, 0, 24, 0)
	c.Ptr(msg, 16, iov)
	c.Ptr(msg, 32, cmsg)

	from, path := c.ptmx()
	how := c.U64(unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0, unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS)
	c.openat2("open "+path, from, c.Str(path), how).To(master)
	c.Do("unlock", unix.SYS_IOCTL, master.Val(), stage.Imm(unix.TIOCSPTLCK), c.U32(0))
	c.Do("open the other end", unix.SYS_IOCTL, master.Val(), stage.Imm(unix.TIOCGPTPEER), stage.Imm(unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)).To(peer)
	if b := c.in.Process.ConsoleSize; b != nil {
		c.Do("set size", unix.SYS_IOCTL, master.Val(), stage.Imm(unix.TIOCSWINSZ), c.U32(uint32(b.Height)|uint32(b.Width)<<16, 0))
	}
	if c.in.Foreground && c.in.Machine == nil {
		// The runtime's own terminal, if it has one, adds the carriage returns,
		// as with runc: what is not shown on a terminal has none. Here, where
		// nothing has been written yet. A machine's guest has a terminal of its own.
		termios := c.U32(make([]uint32, 9)...)
		c.Do("get attributes", unix.SYS_IOCTL, peer.Val(), stage.Imm(unix.TCGETS), termios)
		c.Set(stage.CellAt(termios, 4), stage.Imm(unix.OPOST)) // c_oflag of a new one: OPOST|ONLCR
		c.Do("set attributes", unix.SYS_IOCTL, peer.Val(), stage.Imm(unix.TCSETS), termios)
	}
	// The terminal belongs to who will use it.
	c.Do("set owner", unix.SYS_FCHOWN, peer.Val(), stage.Imm(int(int32(c.in.Process.User.UID))), stage.Imm(-1)).Ignore(unix.EPERM)
	c.Do("send to the console socket", unix.SYS_SENDMSG, stage.Imm(c.in.FDs.Console), msg, stage.Imm(0))
	return peer
}

// ptmx is where to open the terminal multiplexer from.
func (c *compiler) ptmx() (from stage.Arg, path string) {
	for i := range c.attached {
		if c.attached[i].dest == "dev/pts" {
			return c.attached[i].fd.Val(), "ptmx"
		}
	}
	if c.root == 0 { // exec: the container's root is ours
		return stage.Imm(unix.AT_FDCWD), "/dev/pts/ptmx"
	}
	return c.root.Val(), "dev/pts/ptmx"
}

// useTerminal makes it the process's own.
func (c *compiler) useTerminal(peer stage.Cell) {
	c.About("process.terminal", -1, "")
	for fd := range 3 {
		c.Do("make stdio", unix.SYS_DUP3, peer.Val(), stage.Imm(fd), stage.Imm(0))
	}
	c.Do("make controlling", unix.SYS_IOCTL, stage.Imm(0), stage.Imm(unix.TIOCSCTTY), stage.Imm(0))
}
