package monitor

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"ostia/internal/vm/vsock"
	"ostia/internal/vm/wire"

	"golang.org/x/sys/unix"
)

// hub joins what comes from the guest to whom it is for.
type hub struct {
	lost  chan error  // the agent is gone, or says that it cannot go on
	heard atomic.Bool // from the agent
	// connected is closed when the agent has made its connection.
	connected chan struct{}

	mu       sync.Mutex
	control  *vsock.Conn
	unsent   []*wire.Message // before there is a control connection
	sessions map[uint32]*session
	next     uint32
}

// end is the last message about a process.
type end wire.Message

// session is a process in the guest, seen from the host.
type session struct {
	fds      [3]int
	terminal bool
	started  chan struct{}
	ended    chan *end
	begun    [3]bool // streams, by hub.mu
}

func newHub() *hub {
	return &hub{lost: make(chan error, 1), connected: make(chan struct{}), sessions: map[uint32]*session{}, next: 1}
}

// session makes a session with the descriptors that its process's stdio is.
func (h *hub) session(id uint32, fds [3]int, terminal bool) *session {
	s := &session{fds: fds, terminal: terminal, started: make(chan struct{}), ended: make(chan *end, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sessions[id] = s
	return s
}

// newSession is session with a number of its own.
func (h *hub) newSession(fds [3]int, terminal bool) (uint32, *session) {
	h.mu.Lock()
	id := h.next
	h.next++
	h.mu.Unlock()
	return id, h.session(id, fds, terminal)
}

func (h *hub) forget(id uint32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sessions, id)
}

func (h *hub) lookup(id uint32) *session {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sessions[id]
}

// send sends to the agent, when there is one.
func (h *hub) send(m *wire.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.control == nil {
		h.unsent = append(h.unsent, m)
		return
	}
	_ = wire.Write(h.control, m) // an agent that is gone is found out by the reader
}

func (h *hub) lose(err error) {
	select {
	case h.lost <- err:
	default: // the first reason stands
	}
}

// accept takes a connection from the guest.
func (h *hub) accept(port uint32, c *vsock.Conn) {
	switch port {
	case wire.ControlPort:
		h.listen(c)
	case wire.StreamPort:
		h.stream(c)
	}
	_ = c.Close() // never fails
}

// listen is the control connection: there is one, the first.
func (h *hub) listen(c *vsock.Conn) {
	h.mu.Lock()
	first := h.control == nil
	if first {
		h.control = c
		for _, m := range h.unsent {
			_ = wire.Write(c, m) // as in send
		}
		h.unsent = nil
		close(h.connected)
	}
	h.mu.Unlock()
	if !first {
		return
	}
	for {
		m, err := wire.Read(c)
		h.heard.Store(true)
		if err == nil {
			err = h.handle(m)
		}
		if err != nil {
			h.lose(fmt.Errorf("the agent in the guest is lost: %w", err))
			return
		}
	}
}

func (h *hub) handle(m *wire.Message) error {
	switch m.Kind {
	case wire.Pong:
		return nil
	case wire.Fault:
		return errors.New(m.Reason)
	case wire.Started:
		if s := h.lookup(m.Session); s != nil {
			select {
			case <-s.started:
			default:
				close(s.started)
			}
		}
		return nil
	case wire.Exited, wire.Failed, wire.Answer:
		if s := h.lookup(m.Session); s != nil {
			s.finish((*end)(m))
		}
		return nil
	}
	return fmt.Errorf("unknown message %q", m.Kind)
}

// finish passes on the end. The agent has waited until the output was written.
func (s *session) finish(m *end) {
	select {
	case s.ended <- m:
	default: // it has ended before
	}
}

// stream is one of a process's descriptors.
func (h *hub) stream(c *vsock.Conn) {
	head, err := wire.ReadStream(c)
	s := h.lookup(head.Session)
	if err != nil || s == nil || head.FD > 2 || s.terminal && head.FD != 0 {
		return
	}
	h.mu.Lock()
	again := s.begun[head.FD]
	s.begun[head.FD] = true
	h.mu.Unlock()
	if again {
		return
	}
	switch {
	case s.terminal:
		go feed(c, s.fds[0])
		drain(s.fds[0], c)
	case head.FD == 0:
		feed(c, s.fds[0])
		_, _ = io.Copy(io.Discard, c) // until the guest has it all
	default:
		drain(s.fds[head.FD], c)
	}
}

// feed copies a descriptor to the guest until its end.
func feed(c *vsock.Conn, fd int) {
	b := make([]byte, 32<<10)
	for {
		n, err := unix.Read(fd, b)
		if err == unix.EINTR {
			continue
		}
		if err == unix.EAGAIN {
			pollFor(fd, unix.POLLIN)
			continue
		}
		if n <= 0 || err != nil {
			break
		}
		if _, err := c.Write(b[:n]); err != nil {
			return
		}
	}
	c.CloseWrite()
}

// drain copies from the guest to a descriptor. When nobody reads that any more
// the connection is closed, and the process in the guest gets EPIPE as it would
// on the host.
func drain(fd int, c *vsock.Conn) {
	b := make([]byte, 32<<10)
	for {
		n, err := c.Read(b)
		if n > 0 && writeAll(fd, b[:n]) != nil || err != nil {
			return
		}
	}
}

func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		switch err {
		case nil:
			b = b[n:]
		case unix.EINTR:
		case unix.EAGAIN:
			pollFor(fd, unix.POLLOUT)
		default:
			return err
		}
	}
	return nil
}

func pollFor(fd int, events int16) {
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, -1) // the call that follows tells
}
