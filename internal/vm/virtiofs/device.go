// Package virtiofs is the virtio file system device and the FUSE server behind
// it, which shares one tree of the host: the one that it is given as a
// descriptor. The guest is hostile. A name is one component, looked up beneath
// its folder; only regular files and folders are ever opened; file systems that
// show the host's kernel (proc, sysfs, cgroup, ...) look empty.
package virtiofs

import (
	"ostia/internal/vm/virtio"
)

// Device shares what a Server serves under a tag.
type Device struct {
	tag    string
	server *Server
}

// NewDevice makes the device; a tag has at most 36 bytes.
func NewDevice(tag string, s *Server) *Device { return &Device{tag, s} }

// ID, Features, Queues and Config are those of virtio.Device.
func (d *Device) ID() uint32       { return 26 }
func (d *Device) Features() uint64 { return 0 }
func (d *Device) Queues() []uint16 { return []uint16{128, 512} } // high priority, requests

func (d *Device) Config() []byte {
	c := make([]byte, 40)
	copy(c[:36], d.tag)
	c[36] = 1 // request queues
	return c
}

// Reset forgets all that the guest has looked up and opened.
func (d *Device) Reset() { d.server.reset() }

// Serve answers requests in the order in which they came, but for those that
// may wait for a disk for long.
func (d *Device) Serve(_ int, q *virtio.Queue) {
	for {
		c := q.Pop()
		if c == nil {
			return
		}
		if d.server.slow(c.In) {
			go func() { q.Push(c, d.server.Handle(c.In, c.Out)) }()
			continue
		}
		q.Push(c, d.server.Handle(c.In, c.Out))
	}
}
