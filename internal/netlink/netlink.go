// Package netlink is as much of rtnetlink(7) as its users need: a socket, how
// requests are written, and how answers are taken apart. It owns no meaning.
package netlink

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Socket speaks rtnetlink(7) in the network namespace of the thread that
// opened it, whatever thread uses it later.
type Socket struct {
	fd  int
	seq uint32
}

// Open opens a socket.
func Open() (*Socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	return &Socket{fd: fd}, nil
}

// Close closes it.
func (s *Socket) Close() { unix.Close(s.fd) }

// Message is a request under construction: a header, a fixed part and
// attributes, each padded to four bytes.
type Message []byte

// HeaderSize is where the fixed part begins.
const HeaderSize = unix.SizeofNlMsghdr

// NewMessage is a request of a kind (RTM_*) with its fixed part; flags are
// NLM_F_* besides NLM_F_REQUEST.
func NewMessage(kind, flags uint16, fixed []byte) Message {
	m := make(Message, HeaderSize, 128)
	binary.NativeEndian.PutUint16(m[4:], kind)
	binary.NativeEndian.PutUint16(m[6:], unix.NLM_F_REQUEST|flags)
	return append(m, fixed...)
}

// Attribute appends an attribute.
func (m Message) Attribute(kind uint16, value []byte) Message {
	m = binary.NativeEndian.AppendUint16(m, uint16(unix.SizeofRtAttr+len(value)))
	m = binary.NativeEndian.AppendUint16(m, kind)
	m = append(m, value...)
	return append(m, make([]byte, -len(value)&3)...)
}

// Do sends a request and hands every answer's body, fixed part and attributes,
// to each. It returns the kernel's verdict.
func (s *Socket) Do(m Message, each func(kind uint16, body []byte)) error {
	s.seq++
	binary.NativeEndian.PutUint32(m[0:], uint32(len(m)))
	binary.NativeEndian.PutUint32(m[8:], s.seq)
	if err := unix.Sendto(s.fd, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	// A dump comes in parts of at most 32 KiB (netlink(7)).
	buf := make([]byte, 32<<10)
	for {
		n, _, err := unix.Recvfrom(s.fd, buf, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		done, err := answers(buf[:n], s.seq, each)
		if done || err != nil {
			return err
		}
	}
}

// answers takes one datagram apart. done says that it was the last.
func answers(b []byte, seq uint32, each func(kind uint16, body []byte)) (done bool, err error) {
	for len(b) >= HeaderSize {
		size := int(binary.NativeEndian.Uint32(b))
		if size < HeaderSize || size > len(b) {
			return true, unix.EPROTO
		}
		kind, body := binary.NativeEndian.Uint16(b[4:]), b[HeaderSize:size]
		switch {
		case binary.NativeEndian.Uint32(b[8:]) != seq:
		case kind == unix.NLMSG_DONE:
			return true, nil
		case kind == unix.NLMSG_ERROR:
			if len(body) < 4 {
				return true, unix.EPROTO
			}
			if errno := int32(binary.NativeEndian.Uint32(body)); errno != 0 {
				return true, unix.Errno(-errno)
			}
			return true, nil
		default:
			each(kind, body)
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	return false, nil
}

// Attributes calls do with each attribute behind a fixed part.
func Attributes(b []byte, do func(kind uint16, value []byte)) {
	for len(b) >= unix.SizeofRtAttr {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofRtAttr || size > len(b) {
			return
		}
		do(binary.NativeEndian.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), b[unix.SizeofRtAttr:size])
		b = b[min((size+3)&^3, len(b)):]
	}
}

// Uint32 is the value of an attribute.
func Uint32(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

// String is the value of an attribute, with the zero that ends it.
func String(s string) []byte { return append([]byte(s), 0) }
