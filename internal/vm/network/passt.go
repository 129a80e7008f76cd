package network

import (
	"errors"
	"fmt"
	"slices"

	"ostia/internal/netlink"
	"ostia/internal/vm/guest"
)

// A card behind passt(1) has no device of this namespace: passt makes sockets
// here of what the guest sends, and answers for every neighbour. The address of
// the card is of no importance outside, the size of its frames is the largest
// that passt takes.
const mtuOfPasst = 65520

var macOfPasst = [6]byte{0x02, 'o', 's', 't', 'i', 'a'} // locally administered

// ErrNoTemplate is that of a namespace that passt cannot reach anything from.
var ErrNoTemplate = errors.New("no Ethernet device of the container's network namespace is up and has an address and a default route")

// Template is the device of this namespace whose name, addresses and routes the
// guest's has, too: the first with a default route. passt is told its name.
func Template() (guest.Link, error) {
	s, err := netlink.Open()
	if err != nil {
		return guest.Link{}, fmt.Errorf("network: %w", err)
	}
	defer s.Close()
	devices, err := configured(s)
	if err != nil {
		return guest.Link{}, fmt.Errorf("network: %w", err)
	}
	const lengthOfDestination = 1 // in a struct rtmsg
	i := slices.IndexFunc(devices, func(d device) bool {
		return slices.ContainsFunc(d.Routes, func(r []byte) bool { return r[lengthOfDestination] == 0 })
	})
	if i < 0 {
		return guest.Link{}, ErrNoTemplate
	}
	link := devices[i].Link
	link.MAC, link.MTU, link.Neighbours = macOfPasst, mtuOfPasst, nil
	return link, nil
}
