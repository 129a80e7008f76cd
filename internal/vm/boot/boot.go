// Package boot puts a kernel, its command line and the initramfs into guest
// memory by the PVH protocol (Xen's x86/HVM direct boot ABI), and prepares the
// first processor.
package boot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"ostia/internal/vm/kvm"
	"ostia/internal/vm/memory"

	"golang.org/x/sys/unix"
)

// Where things lie below 1 MiB. Linux keeps its hands off 0x9fc00 up to 1 MiB.
const (
	startInfo  = 0x6000
	moduleList = 0x6100
	memoryMap  = 0x6200
	cmdline    = 0x7000
	maxCmdline = 0x1000
	lowEnd     = 0x9fc00
	Tables     = 0xe0000 // the ACPI tables, up to MPTable
	MPTable    = 0xf0000 // where a kernel without ACPI looks for its own, up to 1 MiB
	highStart  = 0x100000
)

// Config is what the guest boots.
type Config struct {
	Kernel  *os.File // an ELF vmlinux
	Initrd  *os.File // nil for none
	Extra   []byte   // a second archive after Initrd
	Cmdline string
}

// errMemory says that a guest is too small.
var errMemory = errors.New("the guest's memory is too small for its kernel and initramfs")

// Load fills mem and returns the entry point.
func Load(mem *memory.Memory, c Config) (entry uint32, err error) {
	if len(c.Cmdline) >= maxCmdline {
		return 0, errors.New("the kernel's command line is longer than 4095 bytes")
	}
	low := mem.Low()
	entry, end, err := loadKernel(low, c.Kernel)
	if err != nil {
		return 0, fmt.Errorf("guest kernel: %w", err)
	}
	at, size, err := loadInitrd(low, end, c)
	if err != nil {
		return 0, fmt.Errorf("initramfs: %w", err)
	}
	le := binary.LittleEndian
	copy(low[cmdline:], c.Cmdline+"\x00")
	le.PutUint64(low[moduleList:], at)
	le.PutUint64(low[moduleList+8:], size)

	const ram, reserved = 1, 2
	ranges := [][3]uint64{{0, lowEnd, ram}, {Tables, highStart - Tables, reserved}, {highStart, uint64(len(low)) - highStart, ram}}
	for _, r := range mem.Regions[1:] {
		ranges = append(ranges, [3]uint64{r.Addr, uint64(len(r.Bytes)), ram})
	}
	for i, r := range ranges {
		at := low[memoryMap+24*i:]
		le.PutUint64(at, r[0])
		le.PutUint64(at[8:], r[1])
		le.PutUint32(at[16:], uint32(r[2]))
	}

	s := low[startInfo:] // struct hvm_start_info, version 1
	le.PutUint32(s, 0x336ec578)
	le.PutUint32(s[4:], 1)
	if size > 0 {
		le.PutUint32(s[12:], 1)
		le.PutUint64(s[16:], moduleList)
	}
	le.PutUint64(s[24:], cmdline)
	le.PutUint64(s[32:], Tables)
	le.PutUint64(s[40:], memoryMap)
	le.PutUint32(s[48:], uint32(len(ranges)))
	return entry, nil
}

// loadKernel loads the segments and finds the PVH entry point. end is behind
// the last of them.
func loadKernel(low []byte, f *os.File) (entry uint32, end uint64, err error) {
	all, err := segments(f)
	if err != nil {
		return 0, 0, err
	}
	for _, s := range all {
		switch s.kind {
		case loaded:
			size := uint64(len(low))
			if s.addr < highStart || s.fileSize > s.size || s.addr > size || s.size > size-s.addr {
				return 0, 0, errMemory
			}
			if err := readData(f, low[s.addr:s.addr+s.fileSize], s.offset); err != nil {
				return 0, 0, err
			}
			end = max(end, s.addr+s.size)
		case notes:
			note := make([]byte, min(s.fileSize, 1<<16))
			if _, err := f.ReadAt(note, int64(s.offset)); err != nil {
				return 0, 0, err
			}
			entry = max(entry, pvhEntry(note))
		}
	}
	if entry == 0 {
		return 0, 0, errors.New("has no PVH entry point (CONFIG_PVH)")
	}
	return entry, end, nil
}

// readData reads a range of a file into memory that is zero, and passes over
// the file's holes: a third of an unpacked kernel is zeros.
func readData(f *os.File, b []byte, offset uint64) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if size := uint64(st.Size()); offset > size || uint64(len(b)) > size-offset {
		return io.ErrUnexpectedEOF
	}
	begin := int64(offset)
	end := begin + int64(len(b))
	for at := begin; at < end; {
		data, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if err == unix.ENXIO {
			return nil // nothing but a hole up to the end
		}
		hole := end
		if err == nil {
			hole, err = unix.Seek(int(f.Fd()), data, unix.SEEK_HOLE)
		}
		if err != nil {
			return err
		}
		if data, hole = min(data, end), min(hole, end); data < hole {
			if _, err := f.ReadAt(b[data-begin:hole-begin], data); err != nil {
				return err
			}
		}
		at = hole
	}
	return nil
}

// pvhEntry finds the note XEN_ELFNOTE_PHYS32_ENTRY.
func pvhEntry(b []byte) uint32 {
	const phys32Entry = 18
	le := binary.LittleEndian
	for len(b) >= 12 {
		name, desc := (uint64(le.Uint32(b))+3)&^3, (uint64(le.Uint32(b[4:]))+3)&^3
		end := 12 + name + desc
		if end > uint64(len(b)) {
			return 0
		}
		if le.Uint32(b[8:]) == phys32Entry && name == 4 && string(b[12:16]) == "Xen\x00" && desc >= 4 {
			return le.Uint32(b[12+name:])
		}
		b = b[end:]
	}
	return 0
}

// loadInitrd puts the archives at the end of low memory, behind the kernel.
func loadInitrd(low []byte, kernelEnd uint64, c Config) (at, size uint64, err error) {
	if c.Initrd == nil {
		return 0, 0, nil
	}
	st, err := c.Initrd.Stat()
	if err != nil {
		return 0, 0, err
	}
	first := uint64(st.Size())
	second := (first + 3) &^ 3
	size = second + uint64(len(c.Extra))
	// As much again is wanted for its unpacked files.
	if size > uint64(len(low)) || uint64(len(low))-size < kernelEnd+size {
		return 0, 0, errMemory
	}
	at = (uint64(len(low)) - size) &^ 0xfff
	if _, err := c.Initrd.ReadAt(low[at:at+first], 0); err != nil {
		return 0, 0, err
	}
	copy(low[at+second:], c.Extra)
	return at, size, nil
}

// Start sets the registers that PVH asks for: 32-bit flat segments, no paging,
// interrupts off, the start info in ebx.
func Start(c *kvm.VCPU, entry uint32) error {
	s, err := c.Sregs()
	if err != nil {
		return fmt.Errorf("kvm: registers: %w", err)
	}
	data := kvm.Segment{Limit: 0xffffffff, Selector: 0x10, Type: 3, Present: 1, DB: 1, S: 1, G: 1}
	s.DS, s.ES, s.FS, s.GS, s.SS = data, data, data, data, data
	s.CS = kvm.Segment{Limit: 0xffffffff, Selector: 0x8, Type: 11, Present: 1, DB: 1, S: 1, G: 1}
	s.TR = kvm.Segment{Limit: 0x67, Selector: 0x18, Type: 11, Present: 1}
	s.CR0, s.CR4, s.EFER = 0x11, 0, 0
	if err := c.SetSregs(&s); err != nil {
		return fmt.Errorf("kvm: registers: %w", err)
	}
	return c.SetRegs(&kvm.Regs{RIP: uint64(entry), RBX: startInfo, RFLAGS: 2})
}
