// Package kvm makes the ioctls of /dev/kvm. It owns the kernel's structures and
// knows nothing of what a machine is made of.
package kvm

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ioctl numbers (linux/kvm.h).
const (
	getAPIVersion     = 0xAE00
	createVM          = 0xAE01
	checkExtension    = 0xAE03
	getVCPUMmapSize   = 0xAE04
	getSupportedCPUID = 0xC008AE05
	createVCPU        = 0xAE41
	setMemoryRegion   = 0x4020AE46
	setTSSAddr        = 0xAE47
	setIdentityMap    = 0x4008AE48
	createIRQChip     = 0xAE60
	irqfd             = 0x4020AE76
	ioeventfd         = 0x4040AE79
	run               = 0xAE80
	GetRegs           = 0x8090AE81
	setRegs           = 0x4090AE82
	getSregs          = 0x8138AE83
	setSregs          = 0x4138AE84
	setCPUID2         = 0x4008AE90
)

// Run is what a running machine still needs of the ioctls, for a seccomp filter,
// besides GetRegs when it fails.
const Run = run

// Capabilities, for VM.Capability.
const (
	capIRQChip      = 0
	capUserMemory   = 3
	capIRQFD        = 32
	capIOEventFD    = 36
	capReadOnly     = 81
	capImmediateRun = 136
	CapMaxVCPUs     = 66
	CapTSCDeadline  = 72
)

// An ErrUnfit is a KVM that lacks what every machine here needs.
var ErrUnfit = errors.New("this KVM cannot run a virtual machine of this kind")

func ioctl(fd int, req, arg uintptr) (int, error) {
	for {
		r, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), req, arg)
		if e == 0 {
			return int(r), nil
		}
		if e != unix.EINTR || req == run {
			return 0, e
		}
	}
}

// VM is one virtual machine with in-kernel interrupt controllers.
type VM struct {
	sys, fd int
	runSize int
	slots   uint32
}

// Check says whether an open file is a KVM at all.
func Check(dev int) error {
	v, err := ioctl(dev, getAPIVersion, 0)
	if err != nil {
		return fmt.Errorf("kvm: api version: %w", err)
	}
	if v != 12 {
		return fmt.Errorf("kvm: api version %d: %w", v, ErrUnfit)
	}
	return nil
}

// New makes a VM from an open /dev/kvm, which it does not own.
func New(dev int) (*VM, error) {
	vm := &VM{sys: dev}
	err := Check(dev)
	if err != nil {
		return nil, err
	}
	for _, c := range [...]struct {
		number uintptr
		name   string
	}{{capIRQChip, "irqchip"}, {capUserMemory, "user memory"}, {capIRQFD, "irqfd"}, {capIOEventFD, "ioeventfd"}, {capReadOnly, "read-only memory"}, {capImmediateRun, "immediate exit"}} {
		if vm.Capability(c.number) <= 0 {
			return nil, fmt.Errorf("kvm: no %s: %w", c.name, ErrUnfit)
		}
	}
	if vm.runSize, err = ioctl(dev, getVCPUMmapSize, 0); err != nil {
		return nil, fmt.Errorf("kvm: vcpu mmap size: %w", err)
	}
	if vm.fd, err = ioctl(dev, createVM, 0); err != nil {
		return nil, fmt.Errorf("kvm: create vm: %w", err)
	}
	if err := vm.chips(); err != nil {
		unix.Close(vm.fd)
		return nil, err
	}
	return vm, nil
}

// chips makes the interrupt controllers. Intel without unrestricted guest needs
// three pages and one page below 4 GiB that no memory slot covers (api.rst,
// KVM_SET_TSS_ADDR); AMD ignores both.
func (vm *VM) chips() error {
	if _, err := ioctl(vm.fd, setTSSAddr, 0xfffbd000); err != nil {
		return fmt.Errorf("kvm: tss address: %w", err)
	}
	identity := uint64(0xfffbc000)
	if _, err := ioctl(vm.fd, setIdentityMap, uintptr(unsafe.Pointer(&identity))); err != nil {
		return fmt.Errorf("kvm: identity map: %w", err)
	}
	if _, err := ioctl(vm.fd, createIRQChip, 0); err != nil {
		return fmt.Errorf("kvm: irqchip: %w", err)
	}
	return nil
}

// Close lets go of the machine. Its processors must have stopped.
func (vm *VM) Close() { unix.Close(vm.fd) }

// Capability returns the value of a capability, 0 for none.
func (vm *VM) Capability(n uintptr) int {
	v, _ := ioctl(vm.sys, checkExtension, n)
	return v
}

// Map shows mem to the guest at a physical address.
func (vm *VM) Map(addr uint64, mem []byte) error { return vm.slot(addr, mem, 0) }

// MapReadOnly shows mem to the guest, whose stores to it are exits, unless an
// event descriptor takes them.
func (vm *VM) MapReadOnly(addr uint64, mem []byte) error {
	const readOnly = 2 // KVM_MEM_READONLY
	return vm.slot(addr, mem, readOnly)
}

func (vm *VM) slot(addr uint64, mem []byte, flags uint32) error {
	r := struct {
		slot, flags      uint32
		addr, size, user uint64
	}{vm.slots, flags, addr, uint64(len(mem)), uint64(uintptr(unsafe.Pointer(&mem[0])))}
	vm.slots++
	if _, err := ioctl(vm.fd, setMemoryRegion, uintptr(unsafe.Pointer(&r))); err != nil {
		return fmt.Errorf("kvm: memory at %#x: %w", addr, err)
	}
	return nil
}

// IRQFD raises gsi when the event descriptor is written: one edge a write.
func (vm *VM) IRQFD(fd int, gsi uint32) error {
	r := struct {
		fd, gsi, flags, resample uint32
		_                        [16]byte
	}{fd: uint32(fd), gsi: gsi}
	if _, err := ioctl(vm.fd, irqfd, uintptr(unsafe.Pointer(&r))); err != nil {
		return fmt.Errorf("kvm: irqfd %d: %w", gsi, err)
	}
	return nil
}

// IOEventFD signals fd when the guest writes the 32-bit value at addr, without
// an exit to this process.
func (vm *VM) IOEventFD(fd int, addr uint64, value uint32) error {
	const dataMatch = 1
	r := struct {
		match, addr uint64
		len         uint32
		fd          int32
		flags       uint32
		_           [36]byte
	}{match: uint64(value), addr: addr, len: 4, fd: int32(fd), flags: dataMatch}
	if _, err := ioctl(vm.fd, ioeventfd, uintptr(unsafe.Pointer(&r))); err != nil {
		return fmt.Errorf("kvm: ioeventfd at %#x: %w", addr, err)
	}
	return nil
}

// CPUIDEntry is one leaf (struct kvm_cpuid_entry2).
type CPUIDEntry struct {
	Function, Index, Flags uint32
	EAX, EBX, ECX, EDX     uint32
	_                      [3]uint32
}

type cpuid struct {
	n, _    uint32
	entries [256]CPUIDEntry
}

// SupportedCPUID returns what the kernel and this processor can give a guest.
func (vm *VM) SupportedCPUID() ([]CPUIDEntry, error) {
	c := &cpuid{n: 256}
	if _, err := ioctl(vm.sys, getSupportedCPUID, uintptr(unsafe.Pointer(c))); err != nil {
		return nil, fmt.Errorf("kvm: supported cpuid: %w", err)
	}
	return c.entries[:min(c.n, 256)], nil
}
