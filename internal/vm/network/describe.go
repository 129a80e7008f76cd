package network

import (
	"encoding/binary"

	"ostia/internal/netlink"

	"golang.org/x/sys/unix"
)

// describe reads the addresses, routes and fixed neighbours of a device, as
// requests that make them in another namespace. What the kernel adds by itself,
// the guest's adds too.
func (d *device) describe(s *netlink.Socket) error {
	dump := func(kind uint16, size int, each func([]byte)) error {
		return s.Do(netlink.NewMessage(kind, unix.NLM_F_DUMP, make([]byte, size)), func(_ uint16, body []byte) {
			if len(body) >= size {
				each(body)
			}
		})
	}
	if err := dump(unix.RTM_GETADDR, unix.SizeofIfAddrmsg, d.address); err != nil || len(d.Addresses) == 0 {
		return err
	}
	if err := dump(unix.RTM_GETROUTE, unix.SizeofRtMsg, d.route); err != nil {
		return err
	}
	return dump(unix.RTM_GETNEIGH, unix.SizeofNdMsg, d.neighbour)
}

// copied is a fixed part with some of the attributes behind it.
func copied(fixed, attributes []byte, kinds ...uint16) netlink.Message {
	m := append(netlink.Message(nil), fixed...)
	netlink.Attributes(attributes, func(kind uint16, value []byte) {
		for _, k := range kinds {
			if k == kind {
				m = m.Attribute(kind, value)
			}
		}
	})
	return m
}

func (d *device) at(b []byte) bool { return int32(binary.NativeEndian.Uint32(b)) == d.index }

func (d *device) address(body []byte) {
	const kept = unix.IFA_F_HOMEADDRESS | unix.IFA_F_MANAGETEMPADDR | unix.IFA_F_NOPREFIXROUTE | unix.IFA_F_MCAUTOJOIN
	fixed, rest := body[:unix.SizeofIfAddrmsg], body[unix.SizeofIfAddrmsg:]
	flags := uint32(fixed[2])
	netlink.Attributes(rest, func(kind uint16, value []byte) {
		if kind == unix.IFA_FLAGS && len(value) == 4 {
			flags = binary.NativeEndian.Uint32(value)
		}
	})
	inet6 := fixed[0] == unix.AF_INET6
	switch {
	case !d.at(fixed[4:]):
		return
	case inet6 && (fixed[3] == unix.RT_SCOPE_LINK || flags&unix.IFA_F_TEMPORARY != 0):
		return
	}
	flags &= kept
	if inet6 {
		flags |= unix.IFA_F_NODAD // it was found to be nobody else's
	}
	m := copied(fixed, rest, unix.IFA_ADDRESS, unix.IFA_LOCAL, unix.IFA_BROADCAST, unix.IFA_RT_PRIORITY)
	m[2] = 0
	d.Addresses = append(d.Addresses, m.Attribute(unix.IFA_FLAGS, netlink.Uint32(flags)))
}

// route keeps those of the main table with one way out, which somebody set.
// Those without a gateway come first, since the others need them.
func (d *device) route(body []byte) {
	fixed, rest := body[:unix.SizeofRtMsg], body[unix.SizeofRtMsg:]
	table, out, gateway := uint32(fixed[4]), false, false
	netlink.Attributes(rest, func(kind uint16, value []byte) {
		switch {
		case kind == unix.RTA_OIF && len(value) == 4:
			out = d.at(value)
		case kind == unix.RTA_TABLE && len(value) == 4:
			table = binary.NativeEndian.Uint32(value)
		case kind == unix.RTA_GATEWAY || kind == unix.RTA_VIA:
			gateway = true
		}
	})
	const protocol, kind, flags = 5, 7, 8 // offsets in struct rtmsg
	given := fixed[protocol] != unix.RTPROT_KERNEL && fixed[protocol] != unix.RTPROT_RA && fixed[kind] == unix.RTN_UNICAST
	if !out || !given || table != unix.RT_TABLE_MAIN || fixed[0] != unix.AF_INET && fixed[0] != unix.AF_INET6 {
		return
	}
	m := copied(fixed, rest, unix.RTA_DST, unix.RTA_GATEWAY, unix.RTA_VIA, unix.RTA_PRIORITY, unix.RTA_PREFSRC, unix.RTA_METRICS)
	set := binary.NativeEndian.Uint32(m[flags:]) & unix.RTNH_F_ONLINK
	binary.NativeEndian.PutUint32(m[flags:], set)
	if gateway {
		d.Routes = append(d.Routes, m)
	} else {
		d.Routes = append([][]byte{m}, d.Routes...)
	}
}

func (d *device) neighbour(body []byte) {
	fixed, rest := body[:unix.SizeofNdMsg], body[unix.SizeofNdMsg:]
	const state = 8 // offset in struct ndmsg
	if d.at(fixed[4:]) && binary.NativeEndian.Uint16(fixed[state:])&unix.NUD_PERMANENT != 0 {
		d.Neighbours = append(d.Neighbours, copied(fixed, rest, unix.NDA_DST, unix.NDA_LLADDR))
	}
}
