// Package netdev moves network devices from one network namespace to another,
// by rtnetlink(7): what linux.netDevices asks for. It never makes a device or
// a namespace.
package netdev

import (
	"encoding/binary"
	"errors"
	"runtime"
	"strings"

	"ostia/internal/netlink"

	"golang.org/x/sys/unix"
)

// Device is a device in a namespace.
type Device struct {
	Name  string
	index int32
	up    bool
}

// Move moves the device of that name from the namespace of file from to that
// of file to, under another name if newName is not empty. A name that ends in
// %d is completed by the kernel. The device keeps its attributes and its
// permanent addresses of global scope, and is up afterwards. One that cannot be
// moved stays as it was. moved is what Back needs.
func Move(from, to int, name, newName string) (moved *Moved, err error) {
	here, err := inNamespace(from)
	if err != nil {
		return nil, err
	}
	defer here.Close()
	there, err := inNamespace(to)
	if err != nil {
		return nil, err
	}
	defer there.Close()
	device, err := here.find(name)
	if err != nil {
		return nil, err
	}
	if newName == "" {
		newName = name
	}
	after, err := carry(here, there, from, to, device, newName)
	if after != nil {
		moved = &Moved{from: from, to: to, before: *device, after: *after}
	}
	if err != nil && moved != nil {
		_ = moved.Back() // the reason for this is the error to tell
	}
	return moved, err
}

// Moved is a device that was moved.
type Moved struct {
	from, to      int
	before, after Device
}

// Name is what the device is called now.
func (m *Moved) Name() string { return m.after.Name }

// Back moves the device back, with its old name, and down if it was.
func (m *Moved) Back() error {
	here, err := inNamespace(m.to)
	if err != nil {
		return err
	}
	defer here.Close()
	there, err := inNamespace(m.from)
	if err != nil {
		return err
	}
	defer there.Close()
	back, err := carry(here, there, m.to, m.from, &m.after, m.before.Name)
	if err == nil && !m.before.up {
		err = there.setUp(back.index, false)
	}
	return err
}

// carry moves a device between two sockets' namespaces; from and to are their
// files.
func carry(here, there *socket, from, to int, device *Device, name string) (*Device, error) {
	// IPv6 addresses are gone as soon as the device is down.
	addresses, err := here.addresses(device.index)
	if err != nil {
		return nil, err
	}
	known, err := there.devices()
	if err != nil {
		return nil, err
	}
	for i := range known {
		if known[i].Name == name {
			return nil, moveReason(unix.EEXIST, name)
		}
	}
	if device.up {
		if err := here.setUp(device.index, false); err != nil {
			return nil, err
		}
	}
	if err := here.move(device.index, name, to); err != nil {
		// The kernel moves first and renames then: it may be there already.
		if _, gone := here.find(device.Name); gone != nil {
			if d, e := there.find(device.Name); e == nil {
				_ = there.move(d.index, device.Name, from)
			}
		}
		if d, e := here.find(device.Name); e == nil && device.up {
			_ = here.setUp(d.index, true)
			_ = here.add(d.index, addresses)
		}
		return nil, moveReason(err, name)
	}
	moved, err := there.arrived(name, known)
	if err != nil {
		return nil, err
	}
	if err := there.add(moved.index, addresses); err != nil {
		return moved, errors.New("give it its addresses again: " + err.Error())
	}
	return moved, there.setUp(moved.index, true)
}

// moveReason says what the kernel means.
func moveReason(err error, name string) error {
	switch err {
	case unix.EEXIST:
		return errors.New("the container's network namespace has a device named " + name + " already: choose another name, or one that ends in %d")
	case unix.EPERM:
		return errors.New("operation not permitted: moving a network device takes CAP_NET_ADMIN in both namespaces")
	case unix.EINVAL:
		return errors.New("invalid argument: this device cannot leave its network namespace")
	}
	return err
}

// socket is in the namespace that it asks and changes.
type socket struct{ *netlink.Socket }

// inNamespace opens a socket in the namespace of a file. A socket stays in the
// namespace in which it was made, so that the thread need go there only for
// that. It comes back, and must: a thread that ended would take with it the
// children that asked to die with it (PR_SET_PDEATHSIG).
func inNamespace(file int) (*socket, error) {
	runtime.LockOSThread()
	own, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(own)
	if err := unix.Setns(file, unix.CLONE_NEWNET); err != nil { //nolint:forbidigo // and back
		runtime.UnlockOSThread()
		return nil, err
	}
	opened, err := netlink.Open()
	s := &socket{opened}
	if e := unix.Setns(own, unix.CLONE_NEWNET); e != nil { //nolint:forbidigo // back
		return s, e // this thread stays locked: nothing else may run there
	}
	runtime.UnlockOSThread()
	return s, err
}

func ignore(uint16, []byte) {}

// linkPart is a struct ifinfomsg.
func linkPart(index int32, flags, change uint32) []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	binary.NativeEndian.PutUint32(b[8:], flags)
	binary.NativeEndian.PutUint32(b[12:], change)
	return b
}

func (s *socket) setUp(index int32, up bool) error {
	flags := uint32(0)
	if up {
		flags = unix.IFF_UP
	}
	return s.Do(netlink.NewMessage(unix.RTM_NEWLINK, unix.NLM_F_ACK, linkPart(index, flags, unix.IFF_UP)), ignore)
}

// move moves a device to the namespace of a file and renames it.
func (s *socket) move(index int32, name string, to int) error {
	m := netlink.NewMessage(unix.RTM_NEWLINK, unix.NLM_F_ACK, linkPart(index, 0, 0)).
		Attribute(unix.IFLA_IFNAME, netlink.String(name)).Attribute(unix.IFLA_NET_NS_FD, netlink.Uint32(uint32(to)))
	return s.Do(m, ignore)
}

// find returns the device of a name.
func (s *socket) find(name string) (*Device, error) {
	var found *Device
	m := netlink.NewMessage(unix.RTM_GETLINK, unix.NLM_F_ACK, linkPart(0, 0, 0)).Attribute(unix.IFLA_IFNAME, netlink.String(name))
	err := s.Do(m, func(kind uint16, body []byte) {
		if d, ok := readDevice(kind, body); ok {
			found = &d
		}
	})
	if err == unix.ENODEV || err == nil && found == nil {
		return nil, errors.New("no network device has this name here: see ip link")
	}
	return found, err
}

// devices lists all devices.
func (s *socket) devices() (list []Device, err error) {
	err = s.Do(netlink.NewMessage(unix.RTM_GETLINK, unix.NLM_F_DUMP, linkPart(0, 0, 0)), func(kind uint16, body []byte) {
		if d, ok := readDevice(kind, body); ok {
			list = append(list, d)
		}
	})
	return list, err
}

// arrived finds the device that has come: by its name, or where the kernel has
// completed that, as the one that was not known.
func (s *socket) arrived(name string, known []Device) (*Device, error) {
	prefix, template := strings.CutSuffix(name, "%d")
	if !template {
		return s.find(name)
	}
	now, err := s.devices()
	if err != nil {
		return nil, err
	}
	for i := range now {
		fresh := strings.HasPrefix(now[i].Name, prefix)
		for _, k := range known {
			fresh = fresh && k.index != now[i].index
		}
		if fresh {
			return &now[i], nil
		}
	}
	return nil, errors.New("it was moved and has gone from there meanwhile")
}

func readDevice(kind uint16, body []byte) (d Device, ok bool) {
	if kind != unix.RTM_NEWLINK || len(body) < unix.SizeofIfInfomsg {
		return d, false
	}
	d.index = int32(binary.NativeEndian.Uint32(body[4:]))
	d.up = binary.NativeEndian.Uint32(body[8:])&unix.IFF_UP != 0
	netlink.Attributes(body[unix.SizeofIfInfomsg:], func(kind uint16, value []byte) {
		if kind == unix.IFLA_IFNAME {
			d.Name = strings.TrimRight(string(value), "\x00")
		}
	})
	return d, d.Name != ""
}
