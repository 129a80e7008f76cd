package monitor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"ostia/internal/vm/guest"
	"ostia/internal/vm/wire"

	"golang.org/x/sys/unix"
)

// serve takes connections of proxies, each for one process, and of who asks.
func (h *hub) serve(listener int) {
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return
		}
		go h.serveConn(fd)
	}
}

func (h *hub) serveConn(fd int) {
	file := os.NewFile(uintptr(fd), "exec")
	c, err := net.FileConn(file)
	file.Close()
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }() // the answer was sent
	unixConn, ok := c.(*net.UnixConn)
	if !ok {
		return
	}
	fds, err := receiveStdio(unixConn)
	switch {
	case err == errNoStdio:
		h.serveAsk(c)
	case err == nil:
		h.serveExec(c, fds)
	}
}

// serveExec runs one process in the guest for a proxy: it takes the start, then
// signals and sizes, and answers with how it started and ended.
func (h *hub) serveExec(c net.Conn, fds [3]int) {
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	m, err := wire.Read(c)
	if err != nil || m.Kind != wire.Start {
		return
	}
	id, s := h.newSession(fds, m.Terminal)
	defer h.forget(id)
	m.Session = id
	h.send(m)
	go func() {
		for {
			m, err := wire.Read(c)
			if err != nil {
				// A proxy that is killed takes its process along.
				h.send(&wire.Message{Kind: wire.Signal, Session: id, Number: int(unix.SIGKILL)})
				return
			}
			if m.Kind == wire.Signal || m.Kind == wire.Resize {
				m.Session = id
				h.send(m)
			}
		}
	}()
	e := <-s.ended
	_ = wire.Write(c, (*wire.Message)(e)) // a proxy that is gone needs no answer
}

var errNoStdio = errors.New("no descriptors came")

// receiveStdio takes three descriptors that come with one byte, or the byte
// alone.
func receiveStdio(c *net.UnixConn) (fds [3]int, err error) {
	oob := make([]byte, unix.CmsgSpace(4*3))
	_, n, _, _, err := c.ReadMsgUnix(make([]byte, 1), oob)
	if err != nil {
		return fds, err
	}
	if n == 0 {
		return fds, errNoStdio
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) != 1 {
		return fds, unix.EPROTO
	}
	got, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(got) != 3 {
		return fds, unix.EPROTO
	}
	return [3]int(got), nil
}

// proxy is a connection to the monitor.
type proxy struct {
	mu sync.Mutex
	c  net.Conn
}

func (p *proxy) send(m *wire.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = wire.Write(p.c, m) // a monitor that is gone is found out by the reader
}

// Exec runs a process in the guest of the monitor that socket leads to, with
// this process's stdio, and returns its exit status. It stands for that process
// on the host: a signal to one is a signal to the other.
func Exec(socket, process int, terminal bool) int {
	signals := catchSignals()
	status, err := execute(signals, socket, process, terminal)
	if err != nil {
		fmt.Fprintln(os.Stderr, "ostia: "+err.Error())
		return statusFailed
	}
	return status
}

var errMonitorGone = errors.New("the container's machine has ended")

func execute(signals <-chan os.Signal, socket, process int, terminal bool) (int, error) {
	file := os.NewFile(uintptr(socket), "monitor")
	c, err := net.FileConn(file)
	file.Close()
	if err != nil {
		return 0, fmt.Errorf("monitor: %w", err)
	}
	text, err := readFile(process)
	if err != nil {
		return 0, fmt.Errorf("process: %w", err)
	}
	adapted, err := guest.Process(text)
	if err != nil {
		return 0, err
	}
	tty, err := takeTerminal(terminal)
	if err != nil {
		return 0, err
	}
	defer tty.restore()
	unixConn, ok := c.(*net.UnixConn)
	if !ok {
		return 0, errors.New("monitor: not a unix socket")
	}
	if _, _, err := unixConn.WriteMsgUnix([]byte{0}, unix.UnixRights(0, 1, 2), nil); err != nil {
		return 0, fmt.Errorf("monitor: %w", err)
	}
	p := &proxy{c: c}
	p.send(&wire.Message{Kind: wire.Start, Process: adapted, Terminal: terminal, Size: tty.size()})
	go forward(signals, p, 0, tty)
	m, err := wire.Read(c)
	if err != nil {
		return 0, errMonitorGone
	}
	if m.Kind == wire.Failed {
		fmt.Fprintln(os.Stderr, "ostia: "+m.Reason)
		return int(m.Status), nil
	}
	return (*end)(m).status()
}

func readFile(fd int) (string, error) {
	f := os.NewFile(uintptr(fd), "process")
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	b := make([]byte, st.Size())
	_, err = f.ReadAt(b, 0)
	return string(b), err
}
