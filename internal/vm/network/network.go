// Package network joins a machine to the network devices of the namespace that
// this process is in: what a network plugin made there for the container, the
// guest gets, with its name, addresses and routes, and a tap or passt(1) takes its frames.
// It never makes a namespace, and never touches one that is the host's.
package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"ostia/internal/netlink"
	"ostia/internal/vm/guest"

	"golang.org/x/sys/unix"
)

// Card is a device of the guest and the descriptor that its frames go through:
// a tap, or a stream socket to passt(1).
type Card struct {
	Link   guest.Link
	Wire   int
	Stream bool
}

// MaxCards is the most that a machine may have.
const MaxCards = 8

// Join takes every device of this namespace that has an address. tun opens
// /dev/net/tun within this namespace.
func Join(tun func() (int, error)) ([]Card, error) {
	s, err := netlink.Open()
	if err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	defer s.Close()
	devices, err := configured(s)
	if err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	if len(devices) > MaxCards {
		return nil, fmt.Errorf("network: %d devices in the container's network namespace, at most %d are possible", len(devices), MaxCards)
	}
	var cards []Card
	for _, d := range devices {
		tap, err := join(s, d, tun)
		if err != nil {
			return nil, fmt.Errorf("network: %s: %w", d.Name, err)
		}
		cards = append(cards, Card{Link: d.Link, Wire: tap})
	}
	return cards, nil
}

// device is one of the namespace's.
type device struct {
	guest.Link
	index int32
}

// configured are the Ethernet devices that are up and have an address. Those
// without are bases of tunnels, taps of other machines, or parts of a bridge.
func configured(s *netlink.Socket) ([]device, error) {
	var all []device
	get := netlink.NewMessage(unix.RTM_GETLINK, unix.NLM_F_DUMP, make([]byte, unix.SizeofIfInfomsg))
	err := s.Do(get, func(kind uint16, body []byte) {
		if d, ok := read(kind, body); ok {
			all = append(all, d)
		}
	})
	if err != nil {
		return nil, err
	}
	var kept []device
	for _, d := range all {
		if err := d.describe(s); err != nil {
			return nil, fmt.Errorf("%s: %w", d.Name, err)
		}
		if len(d.Addresses) > 0 {
			kept = append(kept, d)
		}
	}
	return kept, nil
}

func read(kind uint16, body []byte) (d device, ok bool) {
	if kind != unix.RTM_NEWLINK || len(body) < unix.SizeofIfInfomsg {
		return d, false
	}
	ne := binary.NativeEndian
	d.index = int32(ne.Uint32(body[4:]))
	up := ne.Uint32(body[8:])&(unix.IFF_UP|unix.IFF_LOOPBACK) == unix.IFF_UP
	netlink.Attributes(body[unix.SizeofIfInfomsg:], func(kind uint16, value []byte) {
		switch {
		case kind == unix.IFLA_IFNAME:
			d.Name = strings.TrimRight(string(value), "\x00")
		case kind == unix.IFLA_ADDRESS && len(value) == 6:
			d.MAC = [6]byte(value)
		case kind == unix.IFLA_MTU && len(value) == 4:
			d.MTU = uint16(min(ne.Uint32(value), 0xffff))
		}
	})
	return d, up && ne.Uint16(body[2:]) == unix.ARPHRD_ETHER && d.Name != ""
}

// join makes a tap, and has the kernel pass every frame on between it and the
// device, so that the namespace's own stack no longer sees what is the guest's.
func join(s *netlink.Socket, d device, tun func() (int, error)) (fd int, err error) {
	if fd, err = tun(); err != nil {
		return -1, err
	}
	// One machine a device: the name says which.
	name := fmt.Sprintf("ostia%d", d.index)
	if err := makeTap(fd, name); err != nil {
		unix.Close(fd)
		if err == unix.EBUSY {
			err = errTaken
		}
		return -1, fmt.Errorf("tap: %w", err)
	}
	err = func() error {
		tap, err := bringUp(s, name, d.MTU)
		if err != nil {
			return fmt.Errorf("tap: %w", err)
		}
		return errors.Join(redirect(s, d.index, tap), redirect(s, tap, d.index))
	}()
	if err != nil {
		unix.Close(fd)
	}
	return fd, err
}

var errTaken = errors.New("another machine in this network namespace has it: two cannot share an address")
