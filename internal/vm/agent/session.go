package agent

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"ostia/internal/vm/wire"

	"golang.org/x/sys/unix"
)

// lateAfter is how long the entry point has the processor for itself before the
// modules load that can wait. What ends before needs none of them.
const lateAfter = 500 * time.Millisecond

// session is one process that the host has asked for, with its stdio.
type session struct {
	a    *agent
	id   uint32
	size wire.Size

	mu      sync.Mutex
	pid     int
	kept    []int // signals that came before it ran
	master  *os.File
	sources []*os.File // what the process writes to, at our end
	outputs sync.WaitGroup
}

// begin begins a session: what the host says of it next finds it.
func (a *agent) begin(m *wire.Message) {
	s := &session{a: a, id: m.Session, size: m.Size}
	a.mu.Lock()
	a.sessions[s.id] = s
	a.mu.Unlock()
	go s.run(m)
}

// run runs a process from start to end.
func (s *session) run(m *wire.Message) {
	a := s.a
	defer func() {
		a.mu.Lock()
		delete(a.sessions, s.id)
		a.mu.Unlock()
	}()
	if s.id != 0 {
		<-a.started // an exec may come while the guest boots
	}
	ended, o := s.start(m)
	if s.id == 0 {
		close(a.started)
	}
	if o.Reason != "" {
		a.send(&wire.Message{Kind: wire.Failed, Session: s.id, Reason: o.Reason, Status: uint32(o.Status)})
		return
	}
	a.send(&wire.Message{Kind: wire.Started, Session: s.id})
	if s.id == 0 {
		go func() {
			time.Sleep(lateAfter)
			for i := range a.late {
				_ = load(a.late[i : i+1]) // each only a convenience
			}
		}()
	}
	ws := <-ended
	s.mu.Lock()
	s.pid = 0
	s.mu.Unlock()
	s.drain()
	a.send(&wire.Message{Kind: wire.Exited, Session: s.id, Status: uint32(ws)})
}

// start has a runner start the process.
func (s *session) start(m *wire.Message) (<-chan unix.WaitStatus, outcome) {
	stdio, console, err := s.stdio(m.Terminal)
	if err != nil {
		return nil, failure(fmt.Errorf("stdio: %w", err))
	}
	defer stdio.close()
	args := []string{RunnerName, "run", console}
	if m.Session != 0 {
		file := "/run/process." + strconv.FormatUint(uint64(s.id), 10)
		if err := os.WriteFile(file, []byte(m.Process), 0o600); err != nil {
			return nil, failure(err)
		}
		defer func() { _ = os.Remove(file) }() // only memory
		args = []string{RunnerName, "exec", console, file}
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, failure(err)
	}
	defer r.Close()
	s.a.reaper.begin()
	_, err = os.StartProcess("/proc/self/exe", args, &os.ProcAttr{Env: []string{}, Files: append(stdio.files[:], w)})
	w.Close()
	o := outcome{}
	if err == nil {
		var text []byte
		if text, err = io.ReadAll(r); err == nil && len(text) == 0 {
			err = errors.New("the runtime in the guest ended without a word: out of memory?")
		}
		if err == nil {
			o, err = parseOutcome(string(text))
		}
	}
	if err != nil {
		o = failure(err)
	}
	ended := s.a.reaper.end(o.PID)
	if o.PID != 0 {
		s.began(o.PID)
	}
	return ended, o
}

func failure(err error) outcome { return outcome{Reason: err.Error(), Status: 125} }

// began delivers the signals that came too early.
func (s *session) began(pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pid = pid
	for _, sig := range s.kept {
		_ = unix.Kill(pid, unix.Signal(sig)) // it may have ended
	}
}

// tell delivers a signal, or a terminal's new size.
func (s *session) tell(m *wire.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case m.Kind == wire.Resize:
		s.size = m.Size
		s.resize()
	case m.Number < 1 || m.Number > 64:
	case s.pid == 0:
		s.kept = append(s.kept, m.Number)
	default:
		_ = unix.Kill(s.pid, unix.Signal(m.Number)) // it may have ended
	}
}

func (s *session) resize() {
	if s.master != nil && s.size != (wire.Size{}) {
		_ = unix.IoctlSetWinsize(int(s.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: s.size.Rows, Col: s.size.Columns})
	}
}

// ends are a runner's stdio.
type ends struct{ files [3]*os.File }

func (e *ends) close() {
	for _, f := range e.files {
		f.Close()
	}
}

// stdio makes a process's stdio: three pipes, each with a connection to the
// host; or a socket that takes its terminal.
func (s *session) stdio(terminal bool) (e *ends, console string, err error) {
	e = &ends{}
	if terminal {
		console = "/run/console." + strconv.FormatUint(uint64(s.id), 10)
		if err := s.takeTerminal(console); err != nil {
			return e, "", err
		}
		for fd := range e.files {
			if e.files[fd], err = os.OpenFile("/dev/null", os.O_RDWR, 0); err != nil {
				return e, "", err
			}
		}
		return e, console, nil
	}
	for fd := range e.files {
		r, w, err := os.Pipe()
		if err != nil {
			return e, "", err
		}
		host, err := s.stream(fd)
		if err != nil {
			return e, "", err
		}
		if fd == 0 {
			e.files[0] = r
			go func() {
				_, _ = io.Copy(w, host) // a process that reads no more is no error
				w.Close()
				shut(host, unix.SHUT_RD)
			}()
			continue
		}
		e.files[fd] = w
		s.sources = append(s.sources, r)
		s.outputs.Go(func() {
			defer host.Close()
			_, _ = io.Copy(host, r) // a host that listens no more is no error
			shut(host, unix.SHUT_WR)
			r.Close()
			_, _ = io.Copy(io.Discard, host) // until the host has it all
		})
	}
	return e, "", nil
}

func shut(f *os.File, how int) { _ = unix.Shutdown(int(f.Fd()), how) }

// stream opens the connection for one of the process's descriptors.
func (s *session) stream(fd int) (*os.File, error) {
	f, err := connect(wire.StreamPort)
	if err != nil {
		return nil, err
	}
	return f, wire.Stream{Session: s.id, FD: uint32(fd)}.Write(f)
}

// takeTerminal waits at a socket for the terminal's master, and copies between
// it and the host.
func (s *session) takeTerminal(console string) error {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: console, Net: "unix"})
	if err != nil {
		return err
	}
	host, err := s.stream(0)
	if err != nil {
		return err
	}
	s.outputs.Go(func() {
		defer host.Close()
		defer func() { _ = l.Close() }() // nobody listens any more
		master, err := receiveFile(l)
		if err != nil {
			shut(host, unix.SHUT_WR)
			return
		}
		s.mu.Lock()
		s.master = master
		s.sources = append(s.sources, master)
		s.resize()
		s.mu.Unlock()
		typed := make(chan struct{})
		go func() {
			_, _ = io.Copy(master, host) // until the host has it all and closes, or the terminal is gone
			_, _ = io.Copy(io.Discard, host)
			close(typed)
		}()
		_, _ = io.Copy(host, master) // EIO when nobody has the other end any more
		shut(host, unix.SHUT_WR)
		<-typed
	})
	return nil
}

// receiveFile takes one descriptor from one connection.
func receiveFile(l *net.UnixListener) (*os.File, error) {
	_ = l.SetDeadline(time.Now().Add(time.Minute)) // a process that fails to start sends none
	c, err := l.AcceptUnix()
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }() // all was received
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := c.ReadMsgUnix(make([]byte, 64), oob)
	if err != nil {
		return nil, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) != 1 {
		return nil, fmt.Errorf("terminal: %w", errors.Join(err, unix.EPROTO))
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, fmt.Errorf("terminal: %w", errors.Join(err, unix.EPROTO))
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fds[0]), filepath.Base(l.Addr().String())), nil
}

// drain waits until the host has the process's output. A process that it left
// in the background may hold the other end for ever: what is there after a
// while is all.
func (s *session) drain() {
	done := make(chan struct{})
	go func() {
		s.outputs.Wait()
		close(done)
	}()
	select {
	case <-done:
		return
	case <-time.After(200 * time.Millisecond):
	}
	if s.id != 0 { // with the container's first process all have ended
		s.mu.Lock()
		for _, f := range s.sources {
			cutOff(f)
		}
		s.mu.Unlock()
	}
	<-done
}

// cutOff ends the reading of f once nothing is left in it.
func cutOff(f *os.File) {
	for {
		n, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCINQ)
		if err != nil || n == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	_ = f.SetReadDeadline(time.Now()) // a closed file needs none
}
