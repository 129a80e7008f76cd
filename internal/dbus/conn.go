// Package dbus owns the D-Bus protocol as far as a client of a few calls needs
// it: values and messages, a connection over a unix socket, a call and its
// reply, signals in between. It knows nothing of who is at the other end.
// No library: godbus is built on net and reflect, which every start of the
// runtime would pay for.
package dbus

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is a connection, directly to a peer or to a message bus. Calls are
// written when an answer is awaited, several at once.
type Conn struct {
	fd     int
	bus    bool
	serial uint32
	out    []byte
	in     []byte
	known  bool // authenticated
	signal func(*Message)
	limit  time.Duration // of waiting for an answer
	broken error         // no more is to be had from the other side
}

// ErrTimeout is an answer that did not come in time.
var ErrTimeout = errors.New("no answer within " + strconv.Itoa(int(waitLimit/time.Second)) + " seconds: the other side is busy or hangs")

// waitLimit is how long an answer is waited for, that of libdbus and more.
const waitLimit = 30 * time.Second

// Dial connects to the socket at a path, or by a name that begins with "@" in
// the abstract namespace. It waits for nothing: that the other side knows us
// is found out with the first reply. bus says that it is a message bus. signal
// is called for each signal, and must not use the connection.
func Dial(socket string, bus bool, signal func(*Message)) (*Conn, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: int64(waitLimit / time.Second)})
	for {
		if err = unix.Connect(fd, &unix.SockaddrUnix{Name: socket}); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	c := &Conn{fd: fd, bus: bus, signal: signal, limit: waitLimit}
	// No identity is named: the other side knows it from the socket, also where
	// it sees another uid than this process, which may be in a user namespace.
	c.out = append(c.out, "\x00AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n"...)
	if bus {
		c.Send(&Call{Destination: "org.freedesktop.DBus", Path: "/org/freedesktop/DBus", Interface: "org.freedesktop.DBus", Member: "Hello"})
	}
	if err := c.write(); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return c, nil
}

// Bus reports whether the connection is one to a message bus.
func (c *Conn) Bus() bool { return c.bus }

// Close ends the connection.
func (c *Conn) Close() { unix.Close(c.fd) }

// Send puts a call into the queue and returns its serial number, by which
// Reply finds the answer.
func (c *Conn) Send(call *Call) uint32 {
	c.serial++
	c.out = appendCall(c.out, c.serial, call)
	return c.serial
}

// flush writes what is in the queue. A peer first has to answer the handshake:
// sd-bus forgets a call that it has read together with the end of that, until
// something else comes in (systemd 252).
func (c *Conn) flush(end time.Time) error {
	for !c.bus && !c.known {
		if err := c.read(end); err != nil {
			return err
		}
		if err := c.authenticated(); err != nil {
			return err
		}
	}
	return c.write()
}

func (c *Conn) write() error {
	for len(c.out) > 0 {
		n, err := unix.SendmsgN(c.fd, c.out, nil, nil, unix.MSG_NOSIGNAL)
		switch err {
		case nil:
			c.out = c.out[n:]
		case unix.EINTR:
		case unix.EAGAIN:
			return ErrTimeout
		default:
			return err
		}
	}
	c.out = nil
	return nil
}

// Reply waits for the answer to a call; one that is an error is an *Error.
func (c *Conn) Reply(serial uint32) (*Message, error) {
	var reply *Message
	err := c.Until(func(m *Message) bool {
		if m.replySerial != serial || m.kind != methodReturn && m.kind != methodError {
			return false
		}
		reply = m
		return true
	})
	if err != nil {
		return nil, err
	}
	return reply, reply.err()
}

// Until writes what is in the queue and reads messages until one is the last.
// Answers to other calls than those of last are lost. Once it has failed it is
// not tried again: who has not answered is waited for once.
func (c *Conn) Until(last func(*Message) bool) error {
	if c.broken == nil {
		c.broken = c.until(last)
	}
	return c.broken
}

func (c *Conn) until(last func(*Message) bool) error {
	end := time.Now().Add(c.limit)
	if err := c.flush(end); err != nil {
		return err
	}
	for {
		if !c.known {
			if err := c.authenticated(); err != nil {
				return err
			}
		}
		for c.known {
			m, n, err := cutMessage(c.in)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			// The message keeps its bytes: what comes next goes elsewhere.
			c.in = c.in[n:]
			if m.kind == signal {
				c.signal(m)
			}
			if last(m) {
				return nil
			}
		}
		if err := c.read(end); err != nil {
			return err
		}
	}
}

// authenticated takes the other side's lines of the handshake off what has
// come in: "DATA", "OK" and its id.
func (c *Conn) authenticated() error {
	for {
		line, _, whole := strings.Cut(string(c.in[:min(len(c.in), 4096)]), "\r\n")
		if !whole {
			if len(line) == 4096 {
				return errMessage
			}
			return nil
		}
		c.in = c.in[len(line)+2:]
		switch {
		case line == "OK" || strings.HasPrefix(line, "OK "):
			c.known = true
			return nil
		case line != "DATA":
			return errors.New("the other side does not accept this user (" + line + ")")
		}
	}
}

func (c *Conn) read(end time.Time) error {
	for {
		left := time.Until(end)
		if left <= 0 {
			return ErrTimeout
		}
		fds := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(left/time.Millisecond)+1)
		if err == unix.EINTR || err == nil && n == 0 {
			continue
		}
		if err != nil {
			return err
		}
		const room = 4096
		if cap(c.in)-len(c.in) < room {
			c.in = append(make([]byte, 0, 2*len(c.in)+2*room), c.in...)
		}
		n, err = unix.Read(c.fd, c.in[len(c.in):cap(c.in)])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n == 0:
			return errors.New("the other side has closed the connection")
		default:
			c.in = c.in[:len(c.in)+n]
			return nil
		}
	}
}
