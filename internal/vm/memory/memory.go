// Package memory is a guest's memory: anonymous, with huge pages, since every
// device lives in this process. It owns the bounds: what a guest names is
// looked up here and nowhere else.
package memory

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The hole below 4 GiB for devices and interrupt controllers.
const (
	holeStart = 0xc0000000
	holeEnd   = 1 << 32
)

// Region is memory that the guest sees at one address.
type Region struct {
	Addr  uint64
	Bytes []byte
}

// Memory is all of a guest's.
type Memory struct{ Regions []Region }

// New makes size bytes. The kernel gives pages when the guest touches them.
func New(size uint64) (*Memory, error) {
	const huge = 2 << 20
	size &^= huge - 1
	if size < huge {
		return nil, fmt.Errorf("guest memory of %d bytes: too small", size)
	}
	b, err := unix.Mmap(-1, 0, int(size+huge), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("guest memory of %d MiB: %w", size>>20, err)
	}
	skip := -uintptr(unsafe.Pointer(&b[0])) & (huge - 1) // KVM maps a huge page only where both sides are aligned to it
	b = b[skip : uint64(skip)+size : uint64(skip)+size]
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // a kernel without them boots the guest slower
	_ = unix.Madvise(b, unix.MADV_DONTDUMP)
	m := &Memory{}
	if size <= holeStart {
		m.Regions = []Region{{0, b}}
	} else {
		m.Regions = []Region{{0, b[:holeStart:holeStart]}, {holeEnd, b[holeStart:]}}
	}
	return m, nil
}

// Slice is n bytes of guest memory, if they lie within one region.
func (m *Memory) Slice(addr, n uint64) ([]byte, bool) {
	for i := range m.Regions {
		r := &m.Regions[i]
		if size := uint64(len(r.Bytes)); addr >= r.Addr && addr-r.Addr <= size && n <= size-(addr-r.Addr) {
			at := addr - r.Addr
			return r.Bytes[at : at+n : at+n], true
		}
	}
	return nil, false
}

// Low is the region that begins at 0.
func (m *Memory) Low() []byte { return m.Regions[0].Bytes }
