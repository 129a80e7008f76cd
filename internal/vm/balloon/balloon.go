// Package balloon is the virtio memory balloon device, for its free page
// reporting alone: what the guest's kernel does not use goes back to the host.
// It never asks for pages that are in use.
package balloon

import (
	"unsafe"

	"ostia/internal/vm/virtio"

	"golang.org/x/sys/unix"
)

const featureReporting = 1 << 5

// reportQueue follows those of inflation and deflation. A queue of statistics
// or hints, had they been offered, would come between.
const reportQueue = 2

// Device has nothing to remember.
type Device struct{}

// ID, Features, Queues, Config and Reset are those of virtio.Device.
func (Device) ID() uint32       { return 5 }
func (Device) Features() uint64 { return featureReporting }
func (Device) Queues() []uint16 { return []uint16{16, 16, 32} }
func (Device) Config() []byte   { return make([]byte, 16) } // no page is wanted
func (Device) Reset()           {}

// Serve lets go of the pages that the driver reports. It waits for the answer
// before it uses them again, which then hold zeros.
func (Device) Serve(n int, q *virtio.Queue) {
	for c := q.Pop(); c != nil; c = q.Pop() {
		if n == reportQueue {
			for _, b := range c.Out {
				release(b)
			}
		}
		q.Push(c, 0)
	}
}

// release gives the whole pages within b back to the kernel.
func release(b []byte) {
	const page = 4096
	if len(b) < page {
		return
	}
	skip := int(-uintptr(unsafe.Pointer(&b[0])) & (page - 1))
	if whole := (len(b) - skip) &^ (page - 1); whole > 0 {
		_ = unix.Madvise(b[skip:skip+whole], unix.MADV_DONTNEED) // pages that stay cost memory alone
	}
}
