package netdev

import (
	"encoding/binary"

	"ostia/internal/netlink"

	"golang.org/x/sys/unix"
)

// keptFlags are those that somebody sets; the others are the kernel's state of
// an address.
const keptFlags = unix.IFA_F_NODAD | unix.IFA_F_HOMEADDRESS | unix.IFA_F_MANAGETEMPADDR | unix.IFA_F_NOPREFIXROUTE | unix.IFA_F_MCAUTOJOIN

// addresses returns the requests that give a device its addresses again: the
// permanent ones of global scope (config-linux.md#network-devices). Others
// belong to the namespace that the device leaves.
func (s *socket) addresses(index int32) (requests []netlink.Message, err error) {
	m := netlink.NewMessage(unix.RTM_GETADDR, unix.NLM_F_DUMP, make([]byte, unix.SizeofIfAddrmsg))
	err = s.Do(m, func(kind uint16, body []byte) {
		if kind != unix.RTM_NEWADDR || len(body) < unix.SizeofIfAddrmsg || int32(binary.NativeEndian.Uint32(body[4:])) != index {
			return
		}
		const scopeOffset, flagsOffset = 3, 2 // of struct ifaddrmsg
		flags := uint32(body[flagsOffset])
		netlink.Attributes(body[unix.SizeofIfAddrmsg:], func(kind uint16, value []byte) {
			if kind == unix.IFA_FLAGS && len(value) == 4 {
				flags = binary.NativeEndian.Uint32(value)
			}
		})
		if flags&unix.IFA_F_PERMANENT == 0 || body[scopeOffset] != unix.RT_SCOPE_UNIVERSE {
			return
		}
		fixed := append([]byte(nil), body[:unix.SizeofIfAddrmsg]...)
		fixed[flagsOffset] = 0
		again := netlink.NewMessage(unix.RTM_NEWADDR, unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_REPLACE, fixed)
		netlink.Attributes(body[unix.SizeofIfAddrmsg:], func(kind uint16, value []byte) {
			switch kind {
			// Not IFA_LABEL, which is the device's old name.
			case unix.IFA_ADDRESS, unix.IFA_LOCAL, unix.IFA_BROADCAST, unix.IFA_RT_PRIORITY:
				again = again.Attribute(kind, value)
			}
		})
		requests = append(requests, again.Attribute(unix.IFA_FLAGS, netlink.Uint32(flags&keptFlags)))
	})
	return requests, err
}

// add adds addresses to a device; all are tried, the first error is returned.
func (s *socket) add(index int32, requests []netlink.Message) (failed error) {
	for _, m := range requests {
		binary.NativeEndian.PutUint32(m[netlink.HeaderSize+4:], uint32(index))
		if err := s.Do(m, ignore); err != nil && failed == nil {
			failed = err
		}
	}
	return failed
}
