package container

import (
	"strconv"

	"ostia/internal/netdev"
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// deviceFiles are the network namespaces between which devices are moved.
type deviceFiles struct{ host, container int }

// moveDevices moves linux.netDevices into the stage's network namespace. From
// then on they belong to that (config-linux.md#network-devices): they are
// moved back only if the container does not come into being.
func (c *creation) moveDevices() (err error) {
	ns := &deviceFiles{host: -1, container: -1}
	c.netFiles = ns
	// Not that of the process: its first thread may be the one that has made the
	// container's namespace.
	const own = "/proc/thread-self/ns/net"
	if ns.host, err = unix.Open(own, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return failed("open", own, err)
	}
	path := "/proc/" + strconv.Itoa(c.stage.Pid) + "/ns/net"
	if ns.container, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return failed("open", path, err)
	}
	for i := range c.spec.Linux.NetDevices {
		d := &c.spec.Linux.NetDevices[i]
		moved, err := netdev.Move(ns.host, ns.container, d.Host, d.Name)
		if err != nil {
			return &spec.Error{Pointer: "linux.netDevices." + d.Host, Err: err}
		}
		c.moved = append(c.moved, moved)
	}
	return nil
}

// returnDevices moves the devices back, the last first.
func (c *creation) returnDevices() {
	for i := len(c.moved) - 1; i >= 0; i-- {
		_ = c.moved[i].Back() // the error to tell is why
	}
	c.moved = nil
}

func (c *creation) closeDevices() {
	if ns := c.netFiles; ns != nil {
		unix.Close(ns.host)
		unix.Close(ns.container)
		c.netFiles = nil
	}
}
