package container

import (
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"

	"ostia/internal/launch"
	"ostia/internal/plan"

	"golang.org/x/sys/unix"
)

// terminal is the terminal of a foreground run or exec: we hold the master and
// copy between it and our own stdio.
type terminal struct {
	sock   int // where the stage sends the master; -1 when an engine takes it
	master int
	saved  *unix.Termios // of our stdin, to restore
}

// openTerminal gives the stage the socket to which to send its terminal's
// master: the engine's console socket, or one of our own for a process in the
// foreground.
func openTerminal(wanted bool, socket string, detach bool, f *files, in *plan.Input) (*terminal, error) {
	switch {
	case !wanted && socket != "":
		return nil, failed("--console-socket", socket, errNoTerminal)
	case !wanted:
		return nil, nil
	case socket != "":
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return nil, failed("--console-socket", socket, err)
		}
		in.FDs.Console = f.add(fd)
		if err := unix.Connect(fd, &unix.SockaddrUnix{Name: socket}); err != nil {
			return nil, failed("--console-socket", socket, err)
		}
		return nil, nil
	case detach:
		return nil, failed("process.terminal", "", errNoConsoleSocket)
	}
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, failed("terminal", "", err)
	}
	in.FDs.Console = f.add(p[1])
	in.Foreground = true
	return &terminal{sock: p[0], master: -1}, nil
}

func (c *creation) openConsole(f *files, in *plan.Input, _ *syscall.SysProcAttr) (err error) {
	c.tty, err = openTerminal(c.spec.Process.Terminal, c.o.ConsoleSocket, c.wait || c.o.Detach, f, in)
	return err
}

// attend copies between the terminal, if there is one, and our stdio until the
// process ends, and returns its status.
func (t *terminal) attend(s *launch.Stage) (int, error) {
	if t == nil {
		return wait(s)
	}
	if t.master < 0 { // not had yet
		if err := t.receive(); err != nil {
			return 0, failed("terminal", "", err)
		}
	}
	t.raw()
	defer t.restore()
	t.resize()
	runtime.GOMAXPROCS(4) // nobody waits for what another's system call holds
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, unix.SIGWINCH)
	go func() {
		for range resized {
			t.resize()
		}
	}()
	go copyAll(t.master, 0)
	drained := make(chan struct{})
	go func() {
		copyAll(1, t.master)
		close(drained)
	}()
	status, err := wait(s)
	// The master reports EIO once nobody holds the other end; a process that
	// outlives the container's first one in the background may still.
	if s.PidFD >= 0 {
		fds := []unix.PollFd{{Fd: int32(t.master), Events: 0}}
		_, _ = unix.Poll(fds, 100)
		if fds[0].Revents&unix.POLLHUP != 0 {
			<-drained
		}
	}
	return status, err
}

// receive takes the master that the stage has sent.
func (t *terminal) receive() error {
	defer unix.Close(t.sock)
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(t.sock, make([]byte, 64), oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return err
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(msgs) != 1 {
		return unix.EPROTO
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) != 1 {
		return unix.EPROTO
	}
	t.master = fds[0]
	return nil
}

// raw has our terminal pass on every key: the container's own terminal gives
// them their meaning.
func (t *terminal) raw() {
	old, err := unix.IoctlGetTermios(0, unix.TCGETS)
	if err != nil {
		return // stdin is no terminal
	}
	t.saved = old
	raw := *old
	raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	if inner, err := unix.IoctlGetTermios(t.master, unix.TCGETS); err == nil && inner.Oflag&unix.ONLCR != 0 {
		raw.Oflag &^= unix.OPOST // one of the two adds carriage returns
	}
	raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	raw.Cflag = raw.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	_ = unix.IoctlSetTermios(0, unix.TCSETS, &raw)
}

func (t *terminal) restore() {
	if t.saved != nil {
		_ = unix.IoctlSetTermios(0, unix.TCSETS, t.saved)
	}
}

// resize gives the container's terminal the size of ours.
func (t *terminal) resize() {
	if size, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ); err == nil {
		_ = unix.IoctlSetWinsize(t.master, unix.TIOCSWINSZ, size)
	}
}

// copyAll copies until an end of file or an error.
func copyAll(to, from int) {
	buf := make([]byte, 32<<10)
	for {
		n, err := unix.Read(from, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return
		}
		for b := buf[:n]; len(b) > 0; {
			w, err := unix.Write(to, b)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				return
			}
			b = b[w:]
		}
	}
}

// tellPid writes the pid file and sends the pidfd to its socket.
func tellPid(s *launch.Stage, pidFile, pidfdSocket string) error {
	if pidFile != "" {
		if err := writePidFile(pidFile, s.Pid); err != nil {
			return failed("--pid-file", pidFile, err)
		}
	}
	if pidfdSocket != "" {
		if err := sendFD(pidfdSocket, "pidfd", s.PidFD); err != nil {
			return failed("--pidfd-socket", pidfdSocket, err)
		}
	}
	return nil
}

func (c *creation) tellPid() error {
	if socket := c.spec.Extensions.PidfdReceiver; socket != "" {
		if err := sendFD(socket, "pidfd", c.stage.PidFD); err != nil {
			return failed("annotations.run.oci.pidfd_receiver", socket, err)
		}
	}
	return tellPid(c.stage, c.o.PidFile, c.o.PidfdSocket)
}

// writePidFile writes a new file and renames it: a reader that sees the name
// sees the whole number.
func writePidFile(path string, pid int) error {
	slash := len(path)
	for slash > 0 && path[slash-1] != '/' {
		slash--
	}
	next := path[:slash] + "." + path[slash:]
	fd, err := unix.Open(next, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	_, err = unix.Write(fd, []byte(strconv.Itoa(pid)))
	unix.Close(fd)
	if err == nil {
		err = unix.Rename(next, path)
	}
	if err != nil {
		_ = unix.Unlink(next)
	}
	return err
}

// sendFD sends a descriptor to a listening unix socket.
func sendFD(socket, message string, fds ...int) error {
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	if err := unix.Connect(s, &unix.SockaddrUnix{Name: socket}); err != nil {
		return err
	}
	return unix.Sendmsg(s, []byte(message), unix.UnixRights(fds...), nil, unix.MSG_NOSIGNAL)
}
