package kvm

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Reasons of an exit (KVM_EXIT_*).
const (
	ExitIO            = 2
	ExitHLT           = 5
	ExitMMIO          = 6
	ExitShutdown      = 8
	ExitFailEntry     = 9
	ExitIntr          = 10
	ExitInternalError = 17
	ExitSystemEvent   = 24
)

// Regs, Segment, Table and Sregs are the kernel's kvm_regs, kvm_segment,
// kvm_dtable and kvm_sregs.
type Regs struct {
	RAX, RBX, RCX, RDX, RSI, RDI, RSP, RBP uint64
	R8, R9, R10, R11, R12, R13, R14, R15   uint64
	RIP, RFLAGS                            uint64
}

type Segment struct {
	Base                            uint64
	Limit                           uint32
	Selector                        uint16
	Type, Present, DPL, DB, S, L, G uint8
	AVL, Unusable, _                uint8
}

type Table struct {
	Base  uint64
	Limit uint16
	_     [3]uint16
}

type Sregs struct {
	CS, DS, ES, FS, GS, SS, TR, LDT         Segment
	GDT, IDT                                Table
	CR0, CR2, CR3, CR4, CR8, EFER, APICBase uint64
	Interrupts                              [4]uint64
}

// VCPU is one processor. All methods but Kick belong to one locked thread.
type VCPU struct {
	fd     int
	shared []byte // struct kvm_run
	tid    atomic.Int32
	kicked atomic.Bool
}

// VCPU creates processor id.
func (vm *VM) VCPU(id int, leaves []CPUIDEntry) (*VCPU, error) {
	fd, err := ioctl(vm.fd, createVCPU, uintptr(id))
	if err != nil {
		return nil, fmt.Errorf("kvm: create vcpu %d: %w", id, err)
	}
	c := &VCPU{fd: fd}
	if c.shared, err = unix.Mmap(fd, 0, vm.runSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, fmt.Errorf("kvm: map vcpu %d: %w", id, err)
	}
	list := &cpuid{n: uint32(len(leaves))}
	copy(list.entries[:], leaves)
	if _, err = ioctl(fd, setCPUID2, uintptr(unsafe.Pointer(list))); err != nil {
		return nil, fmt.Errorf("kvm: cpuid of vcpu %d: %w", id, err)
	}
	return c, nil
}

// Regs reads the general registers.
func (c *VCPU) Regs() (r Regs, err error) {
	_, err = ioctl(c.fd, GetRegs, uintptr(unsafe.Pointer(&r)))
	return r, err
}

// SetRegs writes them.
func (c *VCPU) SetRegs(r *Regs) error {
	_, err := ioctl(c.fd, setRegs, uintptr(unsafe.Pointer(r)))
	return err
}

// Sregs reads the segment and control registers.
func (c *VCPU) Sregs() (r Sregs, err error) {
	_, err = ioctl(c.fd, getSregs, uintptr(unsafe.Pointer(&r)))
	return r, err
}

// SetSregs writes them.
func (c *VCPU) SetSregs(r *Sregs) error {
	_, err := ioctl(c.fd, setSregs, uintptr(unsafe.Pointer(r)))
	return err
}

// Exit is why a processor left the guest. Data aliases the page shared with
// the kernel: what a reader writes there, the guest sees when it continues.
type Exit struct {
	Reason uint32
	Write  bool
	Addr   uint64 // physical address or port; the code of an error
	Data   []byte
}

// Lock pins the goroutine and remembers its thread for Kick.
func (c *VCPU) Lock() {
	runtime.LockOSThread()
	c.tid.Store(int32(unix.Gettid()))
}

// Kick makes Run return soon. SIGURG is Go's own preemption signal, so its
// handler is always there and it is harmless at any moment.
func (c *VCPU) Kick() {
	const immediateExit = 1 // offset in kvm_run: covers a signal that comes before the ioctl
	c.kicked.Store(true)
	c.shared[immediateExit] = 1
	if t := c.tid.Load(); t != 0 {
		_ = unix.Tgkill(unix.Getpid(), int(t), unix.SIGURG) // a thread that is gone has left the guest
	}
}

// Kicked says whether Kick was called.
func (c *VCPU) Kicked() bool { return c.kicked.Load() }

// Run enters the guest until it needs this process. EINTR and EAGAIN mean that
// it wants to be called again.
func (c *VCPU) Run() (e Exit, err error) {
	if _, err = ioctl(c.fd, run, 0); err != nil {
		return e, err
	}
	le, u := binary.LittleEndian, c.shared
	e.Reason = le.Uint32(u[8:])
	switch e.Reason {
	case ExitIO: // direction, size, port, count, data_offset
		size, count, at := uint64(u[33]), uint64(le.Uint32(u[36:])), le.Uint64(u[40:])
		e.Write, e.Addr = u[32] == 1, uint64(le.Uint16(u[34:]))
		e.Data = u[at : at+size*count]
	case ExitMMIO: // phys_addr, data[8], len, is_write
		e.Write, e.Addr = u[52] != 0, le.Uint64(u[32:])
		e.Data = u[40 : 40+min(le.Uint32(u[48:]), 8)]
	case ExitSystemEvent, ExitInternalError, ExitFailEntry:
		e.Addr = uint64(le.Uint32(u[32:]))
	}
	return e, nil
}
