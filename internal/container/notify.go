package container

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"ostia/internal/program"
	"ostia/internal/spec"
	"ostia/internal/state"

	"golang.org/x/sys/unix"
)

// notifyMount is where a container finds the socket, as with runc.
const notifyMount = "/run/notify"

// notify gives the container a socket to say that it is ready (sd_notify(3)),
// when this process has one. The service manager's own cannot be handed in: it
// would believe what else the container says, and know its pid by a number of
// another namespace. create only makes room: start listens.
func (c *creation) notify() (err error) {
	if c.o.NotifySocket == "" || !hasNamespace(c.spec, unix.CLONE_NEWNS) {
		return nil
	}
	if err := c.dir.MakeNotify(); err != nil {
		return failed("NOTIFY_SOCKET", c.o.NotifySocket, err)
	}
	c.spec.Mounts = append(c.spec.Mounts, spec.Mount{
		Destination: notifyMount, Source: c.dir.Path() + "/" + state.NotifyDir,
		Options: []string{"bind", "nosuid", "noexec", "nodev", "ro"},
	})
	c.setEnv("NOTIFY_SOCKET", notifyMount+"/"+state.NotifySocket)
	if !c.wait {
		c.ready, err = newNotifier(c.dir, c.o.NotifySocket)
	}
	return failed("NOTIFY_SOCKET", c.o.NotifySocket, err)
}

func hasNamespace(s *spec.Spec, flag uint64) bool {
	for i := range s.Linux.Namespaces {
		if s.Linux.Namespaces[i].Flag == flag {
			return true
		}
	}
	return false
}

// relayBeside relays while a foreground run goes on. The service manager is to
// watch the runtime then, which passes signals on and ends as the container
// does.
func (c *creation) relayBeside() {
	if c.ready == nil {
		return
	}
	pidfd, err := unix.FcntlInt(uintptr(c.stage.PidFD), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return
	}
	ready := c.ready
	c.ready = nil // this goroutine's from now on; both end with the runtime
	runtime.GOMAXPROCS(2)
	go func() {
		_ = ready.relay(pidfd, os.Getpid())
		ready.close()
	}()
}

// notifier hears a container say that it is ready, and tells the service
// manager.
type notifier struct {
	sock    int
	manager string
}

// newNotifier listens in the container's folder for notifications. nil: there
// is no service manager, or the container was made without its socket.
func newNotifier(d *state.Dir, manager string) (*notifier, error) {
	if manager == "" {
		return nil, nil
	}
	dir, err := d.OpenNotify()
	if err == unix.ENOENT {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	n := &notifier{manager: manager}
	if n.sock, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return nil, err
	}
	// By the folder's descriptor: the path of a socket is at most 107 bytes.
	err = unix.Bind(n.sock, &unix.SockaddrUnix{Name: "/proc/self/fd/" + strconv.Itoa(dir) + "/" + state.NotifySocket})
	if err == nil {
		err = unix.Fchmodat(dir, state.NotifySocket, 0o777, 0)
	}
	if err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

func (n *notifier) close() {
	if n != nil {
		unix.Close(n.sock)
	}
}

// relay waits until the container says READY=1, or until its first process has
// ended, and tells the service manager, with the process that it shall watch.
func (n *notifier) relay(pidfd, pid int) error {
	if n == nil {
		return nil
	}
	message := make([]byte, 4096)
	for {
		fds := []unix.PollFd{{Fd: int32(n.sock), Events: unix.POLLIN}, {Fd: int32(pidfd), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR {
			return err
		}
		got, err := unix.Read(n.sock, message)
		if err == unix.EAGAIN || err == unix.EINTR {
			if fds[1].Revents != 0 {
				return nil
			}
			continue
		}
		if err != nil {
			return err
		}
		for line := range strings.SplitSeq(string(message[:got]), "\n") {
			if line == "READY=1" {
				return n.tell(pid)
			}
		}
	}
}

// barrierTime is how long the service manager gets to acknowledge.
const barrierTime = 30 * time.Second

// tell says to the service manager that pid is ready, and waits until it has
// heard: it could not tell the sender of a message whose process is gone.
func (n *notifier) tell(pid int) error {
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	if err := unix.Connect(s, &unix.SockaddrUnix{Name: n.manager}); err != nil {
		return err
	}
	// Two messages in this order, as runc sends them: scripts compare the first.
	for _, message := range [...]string{"READY=1\n", "MAINPID=" + strconv.Itoa(pid) + "\n"} {
		if _, err := unix.Write(s, []byte(message)); err != nil {
			return err
		}
	}
	// sd_notify_barrier(3): the manager closes the other end when it has come
	// to this message.
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	defer unix.Close(pipe[0])
	err = unix.Sendmsg(s, []byte("BARRIER=1"), unix.UnixRights(pipe[1]), nil, unix.MSG_NOSIGNAL)
	unix.Close(pipe[1])
	if err != nil {
		return err
	}
	program.EndsWithin(pipe[0], barrierTime)
	return nil
}
