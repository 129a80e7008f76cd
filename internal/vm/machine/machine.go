// Package machine joins KVM, the tables, the devices and a kernel to a PC
// without a PC's devices, and runs its processors until it ends.
package machine

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"ostia/internal/vm/acpi"
	"ostia/internal/vm/boot"
	"ostia/internal/vm/kvm"
	"ostia/internal/vm/memory"
	"ostia/internal/vm/mptable"
	"ostia/internal/vm/virtio"

	"golang.org/x/sys/unix"
)

// Config is the machine.
type Config struct {
	KVM    int // open /dev/kvm
	Memory uint64
	CPUs   int
	Boot   boot.Config
	Bare   bool      // the kernel knows no ACPI
	Nested bool      // the guest sees the processor's virtualization
	Serial io.Writer // takes what the guest writes to port 0x3f8, nil for no such port
}

// MaxCPUs is the most that a machine may have.
const MaxCPUs = 16

const (
	windows   = 0xd0000000 // the devices' registers
	firstIRQ  = 5
	panicPort = 0x505
	serial    = 0x3f8
	cmosData  = 0x71
)

// End is why a machine ended by itself.
type End struct{ Reason string }

func (e *End) Error() string { return e.Reason }

// The ends that a guest can bring about. errors.Is tells them apart.
var (
	ErrPanic       = &End{"the guest's kernel panicked"}
	ErrPowerOff    = &End{"the guest powered itself off"}
	ErrReset       = &End{"the guest rebooted"}
	ErrTripleFault = &End{"the guest reset its processor (a triple fault, or a reboot)"}
)

// Machine is ready to start.
type Machine struct {
	vm         *kvm.VM
	cpus       []*kvm.VCPU
	transports []*virtio.Transport
	uart       *uart
	running    sync.WaitGroup

	once  sync.Once
	ended chan struct{}
	why   error
	panic atomic.Bool
	Exits atomic.Int64 // to this process
}

// New builds the machine and loads the kernel.
func New(cfg Config, devices ...virtio.Device) (*Machine, error) {
	m := &Machine{ended: make(chan struct{})}
	if cfg.Serial != nil {
		m.uart = &uart{out: cfg.Serial}
	}
	var err error
	if m.vm, err = kvm.New(cfg.KVM); err != nil {
		return nil, err
	}
	if most := min(MaxCPUs, m.vm.Capability(kvm.CapMaxVCPUs)); cfg.CPUs < 1 || cfg.CPUs > most {
		return nil, fmt.Errorf("%d vCPUs: from 1 to %d are possible", cfg.CPUs, most)
	}
	mem, err := memory.New(cfg.Memory)
	if err != nil {
		return nil, err
	}
	hw := acpi.Machine{CPUs: cfg.CPUs, Panic: panicPort}
	registers, err := m.window(len(devices) * virtio.WindowSize)
	if err != nil {
		return nil, err
	}
	for i, d := range devices {
		base, irq := uint64(windows+i*virtio.WindowSize), uint32(firstIRQ+i)
		t, err := virtio.Attach(m.vm, mem, registers[i*virtio.WindowSize:][:virtio.WindowSize], base, irq, d)
		if err != nil {
			return nil, err
		}
		m.transports = append(m.transports, t)
		hw.Virtio = append(hw.Virtio, acpi.Device{Addr: uint32(base), Size: virtio.WindowSize, IRQ: irq})
		if cfg.Bare {
			cfg.Boot.Cmdline += fmt.Sprintf(" virtio_mmio.device=%#x@%#x:%d", virtio.WindowSize, base, irq)
		}
	}
	if cfg.Bare {
		copy(mem.Low()[boot.MPTable:], mptable.Table(boot.MPTable, cfg.CPUs))
	}
	copy(mem.Low()[boot.Tables:], acpi.Tables(boot.Tables, hw))
	entry, err := boot.Load(mem, cfg.Boot)
	if err != nil {
		return nil, err
	}
	for _, r := range mem.Regions {
		if err := m.vm.Map(r.Addr, r.Bytes); err != nil {
			return nil, err
		}
	}
	if err := m.processors(cfg.CPUs, cfg.Nested); err != nil {
		return nil, err
	}
	return m, boot.Start(m.cpus[0], entry)
}

// window is the memory of all devices' registers, n bytes.
func (m *Machine) window(n int) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("memory for registers: %w", err)
	}
	return b, m.vm.MapReadOnly(windows, b)
}

func (m *Machine) processors(n int, nested bool) error {
	leaves, err := m.vm.SupportedCPUID()
	if err != nil {
		return err
	}
	if !nested {
		hideVirtualization(leaves)
	}
	deadline := m.vm.Capability(kvm.CapTSCDeadline) > 0
	for i := range n {
		c, err := m.vm.VCPU(i, processor(leaves, i, n, deadline))
		if err != nil {
			return err
		}
		m.cpus = append(m.cpus, c)
	}
	return nil
}

// hideVirtualization takes VMX and SVM from the processor: what a guest could do
// with them is code of the host's KVM that nobody need reach.
func hideVirtualization(leaves []kvm.CPUIDEntry) {
	const vmx, svm = 1 << 5, 1 << 2
	for i := range leaves {
		switch l := &leaves[i]; l.Function {
		case 1:
			l.ECX &^= vmx
		case 0x80000001:
			l.ECX &^= svm
		}
	}
}

// processor is what KVM supports, with the processor's number, and the TSC
// deadline timer, which KVM has but does not list.
func processor(leaves []kvm.CPUIDEntry, id, n int, deadline bool) []kvm.CPUIDEntry {
	const hypervisor, tscDeadline = 1 << 31, 1 << 24
	out := append([]kvm.CPUIDEntry(nil), leaves...)
	for i := range out {
		l := &out[i]
		switch l.Function {
		case 1:
			l.EBX = l.EBX&0xffff | uint32(n)<<16 | uint32(id)<<24
			l.ECX |= hypervisor
			if deadline {
				l.ECX |= tscDeadline
			}
		case 0xb, 0x1f:
			l.EDX = uint32(id)
		}
	}
	return out
}

// Start runs the processors.
func (m *Machine) Start() {
	for _, t := range m.transports {
		t.Start()
	}
	m.running.Add(len(m.cpus))
	for _, c := range m.cpus {
		go m.loop(c)
	}
}

// Ended is closed when the machine has ended by itself, for the reason that Why
// returns. What the guest had queued for its devices has been handled.
func (m *Machine) Ended() <-chan struct{} { return m.ended }

// Why is the reason of the end, one of the errors of this package or another.
func (m *Machine) Why() error { return m.why }

// Stop makes all processors leave the guest and waits until they have.
func (m *Machine) Stop() {
	for _, c := range m.cpus {
		c.Kick()
	}
	m.running.Wait()
}

// Kicks is the number of notifications that the guest has given its devices,
// which are no exits.
func (m *Machine) Kicks() (n int64) {
	for _, t := range m.transports {
		n += t.Kicks()
	}
	return n
}

func (m *Machine) end(why error) {
	m.once.Do(func() {
		for _, t := range m.transports {
			t.Drain()
		}
		m.why = why
		close(m.ended)
	})
}

// loop is one processor, on a thread of its own, which ends with it.
func (m *Machine) loop(c *kvm.VCPU) {
	defer m.running.Done()
	c.Lock()
	for {
		e, err := c.Run()
		if c.Kicked() {
			return
		}
		m.Exits.Add(1)
		switch {
		case err == unix.EINTR || err == unix.EAGAIN:
			continue
		case err != nil:
			m.end(fmt.Errorf("KVM_RUN: %w", err))
			return
		}
		if why := m.exit(c, &e); why != nil {
			m.end(why)
			return
		}
	}
}

// exit handles an exit, and says why the machine ends, if it does.
func (m *Machine) exit(c *kvm.VCPU, e *kvm.Exit) error {
	switch e.Reason {
	case kvm.ExitIO:
		return m.port(e)
	case kvm.ExitMMIO:
		m.mmio(e)
	case kvm.ExitIntr:
	case kvm.ExitShutdown:
		if m.panic.Load() {
			return ErrPanic
		}
		return ErrTripleFault
	default:
		r, _ := c.Regs() // the address is a help, not a need
		return fmt.Errorf("KVM gave up on the guest: exit reason %d (%d) at %#x", e.Reason, e.Addr, r.RIP)
	}
	return nil
}

func (m *Machine) mmio(e *kvm.Exit) {
	if n := (e.Addr - windows) / virtio.WindowSize; e.Write && e.Addr >= windows && n < uint64(len(m.transports)) {
		m.transports[n].Store(e.Addr%virtio.WindowSize, e.Data)
		return
	}
	if !e.Write {
		fill(e.Data, 0xff)
	}
}

// Bits of the pvpanic port.
const (
	panicked    = 1 << 0
	crashLoaded = 1 << 1
)

func (m *Machine) port(e *kvm.Exit) error {
	if len(e.Data) == 0 {
		return nil
	}
	switch {
	case m.uart != nil && e.Addr >= serial && e.Addr < serial+8:
		m.uart.access(int(e.Addr-serial), e.Write, e.Data)
	case e.Write && e.Addr == acpi.SleepPort && e.Data[0]>>2&7 == acpi.SleepType && e.Data[0]&0x20 != 0:
		return ErrPowerOff
	case e.Write && e.Addr == acpi.ResetPort && e.Data[0] == acpi.ResetValue:
		if m.panic.Load() {
			return ErrPanic
		}
		return ErrReset
	case e.Write && e.Addr == panicPort:
		if e.Data[0]&(panicked|crashLoaded) != 0 {
			m.panic.Store(true)
			return ErrPanic
		}
	case e.Write:
	case e.Addr == panicPort:
		fill(e.Data, panicked|crashLoaded)
	case e.Addr == cmosData: // the clock is not being set: a kernel waits for that
		fill(e.Data, 0)
	case e.Addr == acpi.SleepPort || e.Addr == acpi.SleepPort+1:
		fill(e.Data, 0)
	default:
		fill(e.Data, 0xff)
	}
	return nil
}

func fill(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}
