package monitor

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"ostia/internal/vm/network"
	"ostia/internal/vm/prepare"

	"golang.org/x/sys/unix"
)

var errNoTun = errors.New("/dev/net/tun: no such file or directory: load its module on the host (modprobe tun)")

// joinNetwork gives the machine the network of the container's namespace, and
// gives up the right to change that. A container in the host's own has lo alone:
// the host's devices are not a machine's. With passt, wire is the socket to that.
func joinNetwork(setup *prepare.Setup, wire int) ([]network.Card, error) {
	if setup.Passt != "" {
		link, err := network.Template()
		return []network.Card{{Link: link, Wire: wire, Stream: true}}, errors.Join(err, dropNetAdmin())
	}
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	var cards []network.Card
	if own != setup.Network {
		if cards, err = network.Join(func() (int, error) { return openTun(wire) }); err != nil {
			return nil, err
		}
	}
	return cards, dropNetAdmin()
}

// openTun opens the host's device here: a tap belongs to the namespace in which
// that was done.
func openTun(path int) (int, error) {
	if path < 0 {
		return -1, errNoTun
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", path), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		err = fmt.Errorf("/dev/net/tun: %w", err)
	}
	return fd, err
}

// dropNetAdmin takes CAP_NET_ADMIN from every thread, for good: this process
// executes nothing.
func dropNetAdmin() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	sets[0].Effective &^= 1 << unix.CAP_NET_ADMIN
	sets[0].Permitted &^= 1 << unix.CAP_NET_ADMIN
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&sets[0])), 0)
	if errno != 0 {
		return fmt.Errorf("capabilities: %w", errno)
	}
	return nil
}
