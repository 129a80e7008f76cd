package netdev

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// keptFlags are those that somebody sets; the others are the kernel's state of
// an address.
const keptFlags = unix.IFA_F_NODAD | unix.IFA_F_HOMEADDRESS | unix.IFA_F_MANAGETEMPADDR | unix.IFA_F_NOPREFIXROUTE | unix.IFA_F_MCAUTOJOIN

// addresses returns the requests that give a device its addresses again: the
// permanent ones of global scope (config-linux.md#network-devices). Others
// belong to the namespace that the device leaves.
func (s *socket) addresses(index int32) (requests []message, err error) {
	m := newMessage(unix.RTM_GETADDR, unix.NLM_F_DUMP, make([]byte, unix.SizeofIfAddrmsg))
	err = s.do(m, func(kind uint16, body []byte) {
		if kind != unix.RTM_NEWADDR || len(body) < unix.SizeofIfAddrmsg || int32(binary.NativeEndian.Uint32(body[4:])) != index {
			return
		}
		const scopeOffset, flagsOffset = 3, 2 // of struct ifaddrmsg
		flags := uint32(body[flagsOffset])
		attributes(body[unix.SizeofIfAddrmsg:], func(kind uint16, value []byte) {
			if kind == unix.IFA_FLAGS && len(value) == 4 {
				flags = binary.NativeEndian.Uint32(value)
			}
		})
		if flags&unix.IFA_F_PERMANENT == 0 || body[scopeOffset] != unix.RT_SCOPE_UNIVERSE {
			return
		}
		fixed := append([]byte(nil), body[:unix.SizeofIfAddrmsg]...)
		fixed[flagsOffset] = 0
		again := newMessage(unix.RTM_NEWADDR, unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_REPLACE, fixed)
		attributes(body[unix.SizeofIfAddrmsg:], func(kind uint16, value []byte) {
			switch kind {
			// Not IFA_LABEL, which is the device's old name.
			case unix.IFA_ADDRESS, unix.IFA_LOCAL, unix.IFA_BROADCAST, unix.IFA_RT_PRIORITY:
				again = again.attribute(kind, value)
			}
		})
		requests = append(requests, again.attribute(unix.IFA_FLAGS, u32(flags&keptFlags)))
	})
	return requests, err
}

// add adds addresses to a device; all are tried, the first error is returned.
func (s *socket) add(index int32, requests []message) (failed error) {
	for _, m := range requests {
		binary.NativeEndian.PutUint32(m[headerSize+4:], uint32(index))
		if err := s.do(m, ignore); err != nil && failed == nil {
			failed = err
		}
	}
	return failed
}
