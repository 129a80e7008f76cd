package network

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"ostia/internal/netlink"
	"ostia/internal/vm/virtionet"

	"golang.org/x/sys/unix"
)

// makeTap makes the descriptor of /dev/net/tun a device of this name, which
// goes with the descriptor.
func makeTap(fd int, name string) error {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETIFF, uintptr(unsafe.Pointer(request)))
	if errno != 0 {
		return errno
	}
	return unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, virtionet.HeaderSize)
}

// bringUp gives a tap its size of frames, and returns its index. It gets no
// address: the namespace's stack has nothing to say there.
func bringUp(s *netlink.Socket, name string, mtu uint16) (index int32, err error) {
	const addrGenMode, none = 8, 1 // IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE
	get := netlink.NewMessage(unix.RTM_GETLINK, unix.NLM_F_ACK, make([]byte, unix.SizeofIfInfomsg)).
		Attribute(unix.IFLA_IFNAME, netlink.String(name))
	err = s.Do(get, func(kind uint16, body []byte) {
		if kind == unix.RTM_NEWLINK && len(body) >= unix.SizeofIfInfomsg {
			index = int32(binary.NativeEndian.Uint32(body[4:]))
		}
	})
	if err != nil {
		return 0, err
	}
	var mode, inet6 netlink.Message
	inet6 = inet6.Attribute(unix.AF_INET6, mode.Attribute(addrGenMode, []byte{none}))
	// A kernel without IPv6 gives no address anyway.
	_ = s.Do(netlink.NewMessage(unix.RTM_NEWLINK, unix.NLM_F_ACK, link(index, 0)).Attribute(unix.IFLA_AF_SPEC, inet6), nothing)
	return index, s.Do(netlink.NewMessage(unix.RTM_NEWLINK, unix.NLM_F_ACK, link(index, unix.IFF_UP)).
		Attribute(unix.IFLA_MTU, netlink.Uint32(uint32(mtu))), nothing)
}

func nothing(uint16, []byte) {}

// link is a struct ifinfomsg that sets flags.
func link(index int32, flags uint32) []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	binary.NativeEndian.PutUint32(b[8:], flags)
	binary.NativeEndian.PutUint32(b[12:], flags)
	return b
}

// redirect sends every frame that comes in on one device out of the other
// (tc-mirred(8)). What an earlier machine left is replaced: its tap is gone.
func redirect(s *netlink.Socket, from, to int32) error {
	const (
		ingress        = 0xfffffff1
		ingressHandle  = 0xffff0000
		ingressFilters = 0xfffffff2
		priority       = 1
		everything     = 0x0300 // ETH_P_ALL as it is on the wire
	)
	// One that is there may be somebody's; ours is a filter in it.
	qdisc := netlink.NewMessage(unix.RTM_NEWQDISC, unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL, traffic(from, ingressHandle, ingress, 0)).
		Attribute(unix.TCA_KIND, netlink.String("ingress"))
	if err := s.Do(qdisc, nothing); err != nil && err != unix.EEXIST {
		return fmt.Errorf("tc qdisc ingress: %w", err)
	}
	filter := traffic(from, 0, ingressFilters, priority<<16|everything)
	_ = s.Do(netlink.NewMessage(unix.RTM_DELTFILTER, unix.NLM_F_ACK, filter).Attribute(unix.TCA_KIND, netlink.String("matchall")), nothing)
	create := netlink.NewMessage(unix.RTM_NEWTFILTER, unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL, filter).
		Attribute(unix.TCA_KIND, netlink.String("matchall")).Attribute(unix.TCA_OPTIONS, matchAll(to))
	if err := s.Do(create, nothing); err != nil {
		return fmt.Errorf("tc filter matchall with action mirred: %w", err)
	}
	return nil
}

// traffic is a struct tcmsg.
func traffic(index int32, handle, parent, info uint32) []byte {
	ne := binary.NativeEndian
	b := ne.AppendUint32(make([]byte, 4), uint32(index))
	b = ne.AppendUint32(b, handle)
	b = ne.AppendUint32(b, parent)
	return ne.AppendUint32(b, info)
}

// matchAll are the options of a filter that redirects to a device.
func matchAll(to int32) []byte {
	const (
		matchallAct  = 2
		actKind      = 1
		actOptions   = 2
		mirredParms  = 2
		stolen       = 4
		egressRedir  = 1
		firstAction  = 1
		sizeOfMirred = 28
	)
	parms := make([]byte, sizeOfMirred) // struct tc_mirred
	binary.NativeEndian.PutUint32(parms[8:], stolen)
	binary.NativeEndian.PutUint32(parms[20:], egressRedir)
	binary.NativeEndian.PutUint32(parms[24:], uint32(to))
	var options, action, list, all netlink.Message
	options = options.Attribute(mirredParms, parms)
	action = action.Attribute(actKind, netlink.String("mirred")).Attribute(actOptions, options)
	list = list.Attribute(firstAction, action)
	return all.Attribute(matchallAct, list)
}
