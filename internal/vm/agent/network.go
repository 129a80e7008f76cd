package agent

import (
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"ostia/internal/netlink"
	"ostia/internal/vm/guest"

	"golang.org/x/sys/unix"
)

// network makes the guest's network what the container's on the host is.
func network(links []guest.Link, sysctls []guest.Sysctl) error {
	if err := loopback(); err != nil {
		return fmt.Errorf("lo: %w", err)
	}
	if len(links) > 0 {
		s, err := netlink.Open()
		if err != nil {
			return fmt.Errorf("network: %w", err)
		}
		defer s.Close()
		if err := connectLinks(s, links); err != nil {
			return fmt.Errorf("network: %w", err)
		}
	}
	for _, c := range sysctls {
		if err := os.WriteFile("/proc/sys/"+c.Path, []byte(c.Value), 0); err != nil {
			return fmt.Errorf("linux.sysctl: %w", err)
		}
	}
	return nil
}

func connectLinks(s *netlink.Socket, links []guest.Link) error {
	found := make([]int32, len(links))
	// A name may be another's yet.
	for i := range links {
		var err error
		if found[i], err = find(s, links[i].MAC); err != nil {
			return fmt.Errorf("%s: %w", links[i].Name, err)
		}
		if err := s.Do(change(found[i], 0).Attribute(unix.IFLA_IFNAME, netlink.String(fmt.Sprintf("ostia%d", i))), ignore); err != nil {
			return fmt.Errorf("%s: rename: %w", links[i].Name, err)
		}
	}
	for i := range links {
		if err := configure(s, found[i], &links[i]); err != nil {
			return fmt.Errorf("%s: %w", links[i].Name, err)
		}
	}
	return nil
}

// find waits for the device with an address of its own, which a thread of the
// kernel's makes.
func find(s *netlink.Socket, mac [6]byte) (index int32, err error) {
	get := netlink.NewMessage(unix.RTM_GETLINK, unix.NLM_F_DUMP, make([]byte, unix.SizeofIfInfomsg))
	for range 400 {
		err = s.Do(get, func(_ uint16, body []byte) {
			netlink.Attributes(body[min(len(body), unix.SizeofIfInfomsg):], func(kind uint16, value []byte) {
				if kind == unix.IFLA_ADDRESS && string(value) == string(mac[:]) {
					index = int32(binary.NativeEndian.Uint32(body[4:]))
				}
			})
		})
		if err != nil || index != 0 {
			return index, err
		}
		time.Sleep(5 * time.Millisecond)
	}
	return 0, fmt.Errorf("the guest has no such device: its kernel lacks virtio_net")
}

func configure(s *netlink.Socket, index int32, l *guest.Link) error {
	up := change(index, unix.IFF_UP).Attribute(unix.IFLA_MTU, netlink.Uint32(uint32(l.MTU)))
	if err := s.Do(change(index, 0).Attribute(unix.IFLA_IFNAME, netlink.String(l.Name)), ignore); err != nil {
		return fmt.Errorf("rename: %w", err)
	}
	if err := s.Do(up, ignore); err != nil {
		return fmt.Errorf("up: %w", err)
	}
	const create = unix.NLM_F_ACK | unix.NLM_F_CREATE | unix.NLM_F_REPLACE
	for _, b := range l.Addresses {
		binary.NativeEndian.PutUint32(b[4:], uint32(index))
		if err := s.Do(netlink.NewMessage(unix.RTM_NEWADDR, create, b), ignore); err != nil {
			return fmt.Errorf("address: %w", err)
		}
	}
	for _, b := range l.Neighbours {
		binary.NativeEndian.PutUint32(b[4:], uint32(index))
		if err := s.Do(netlink.NewMessage(unix.RTM_NEWNEIGH, create, b), ignore); err != nil {
			return fmt.Errorf("neighbour: %w", err)
		}
	}
	for _, b := range l.Routes {
		if err := s.Do(netlink.NewMessage(unix.RTM_NEWROUTE, create, b).Attribute(unix.RTA_OIF, netlink.Uint32(uint32(index))), ignore); err != nil {
			return fmt.Errorf("route: %w", err)
		}
	}
	return nil
}

// change is a request that sets flags of a device.
func change(index int32, flags uint32) netlink.Message {
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	binary.NativeEndian.PutUint32(b[8:], flags)
	binary.NativeEndian.PutUint32(b[12:], flags)
	return netlink.NewMessage(unix.RTM_NEWLINK, unix.NLM_F_ACK, b)
}

func ignore(uint16, []byte) {}
