// Package entropy is the virtio entropy device: random bytes from the host's
// kernel, for a guest that has no other source when it boots.
package entropy

import (
	"ostia/internal/vm/virtio"

	"golang.org/x/sys/unix"
)

// maxRequest bounds the work of one request. A driver asks again.
const maxRequest = 4096

// Device has nothing to remember.
type Device struct{}

// ID, Features, Queues, Config and Reset are those of virtio.Device.
func (Device) ID() uint32       { return 4 }
func (Device) Features() uint64 { return 0 }
func (Device) Queues() []uint16 { return []uint16{16} }
func (Device) Config() []byte   { return nil }
func (Device) Reset()           {}

// Serve fills the driver's buffers.
func (Device) Serve(_ int, q *virtio.Queue) {
	for c := q.Pop(); c != nil; c = q.Pop() {
		q.Push(c, fill(c.Out))
	}
}

func fill(out [][]byte) (n int) {
	for _, b := range virtio.Limit(out, maxRequest) {
		k, err := unix.Getrandom(b, 0)
		n += max(k, 0)
		if err != nil || k < len(b) {
			break
		}
	}
	return n
}
