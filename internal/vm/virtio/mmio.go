// Package virtio is the virtio-mmio transport, version 2, and split virtqueues
// (Virtual I/O Device specification 1.2). It knows nothing of what a device
// does.
package virtio

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"ostia/internal/vm/kvm"
	"ostia/internal/vm/memory"

	"golang.org/x/sys/unix"
)

// Device is what stands behind a transport.
type Device interface {
	ID() uint32
	Features() uint64 // besides those of the transport
	Queues() []uint16 // largest sizes
	Config() []byte   // always the same
	// Serve handles what is in queue n. It is called on the queue's own
	// goroutine, once after activation and once a notification.
	Serve(n int, q *Queue)
	// Reset forgets what the driver knew of the device.
	Reset()
}

// Accepter is a device that hears which of its features a driver uses, before
// the first request.
type Accepter interface{ Accept(features uint64) }

// WindowSize is the size of a device's registers.
const WindowSize = 0x1000

// Feature bits of the transport.
const (
	featureIndirect = 1 << 28
	featureEventIdx = 1 << 29
	featureVersion1 = 1 << 32
)

// Device status.
const (
	statusDriverOK   = 4
	statusFeaturesOK = 8
	statusNeedsReset = 64
)

// Transport is one register window. What a driver reads there is memory, which
// the guest cannot write: only its stores leave the guest.
type Transport struct {
	dev    Device
	window []byte

	irq                  int // event descriptor
	acknowledged         int // event descriptor that nobody reads
	broken               atomic.Bool
	mu                   sync.Mutex
	status               uint32
	devSel, drvSel, qSel uint32
	features             uint64
	queues               []*slot
}

// slot is one queue and its registers.
type slot struct {
	Queue
	max, wanted uint32
	ready       bool
	descAddr    uint64
	availAddr   uint64
	usedAddr    uint64
	notify      int // event descriptor
	serving     sync.Mutex
	Kicks       atomic.Int64
}

// Attach makes a transport whose window, WindowSize bytes that the guest may
// read at base, is given, and whose interrupt is gsi.
func Attach(vm *kvm.VM, mem *memory.Memory, window []byte, base uint64, gsi uint32, dev Device) (*Transport, error) {
	t := &Transport{dev: dev, window: window}
	var err error
	if t.irq, err = unix.Eventfd(0, unix.EFD_CLOEXEC); err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	if err := vm.IRQFD(t.irq, gsi); err != nil {
		return nil, err
	}
	// A driver acknowledges each interrupt, which would be an exit for nothing:
	// KVM takes the write, and the cause, used buffers, stays set. A driver looks
	// into its queues once more at most, and no other device has the interrupt.
	if t.acknowledged, err = unix.Eventfd(0, unix.EFD_CLOEXEC); err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	if err := vm.IOEventFD(t.acknowledged, base+regInterruptAck, interruptUsed); err != nil {
		return nil, err
	}
	for i, max := range dev.Queues() {
		s := &slot{max: uint32(max)}
		s.mem, s.interrupt, s.Queue.broken = mem, t.usedBuffer, t.needsReset
		if s.notify, err = unix.Eventfd(0, unix.EFD_CLOEXEC); err != nil {
			return nil, fmt.Errorf("eventfd: %w", err)
		}
		if err := vm.IOEventFD(s.notify, base+regQueueNotify, uint32(i)); err != nil {
			return nil, err
		}
		t.queues = append(t.queues, s)
	}
	t.describe()
	return t, nil
}

// Interrupt causes.
const (
	interruptUsed   = 1
	interruptConfig = 2
)

func (t *Transport) usedBuffer() { t.interrupt(interruptUsed) }

func (t *Transport) needsReset() {
	t.broken.Store(true)
	atomic.OrUint32(t.word(regStatus), statusNeedsReset)
	t.interrupt(interruptConfig)
}

func (t *Transport) interrupt(cause uint32) {
	atomic.OrUint32(t.word(regInterrupt), cause)
	one := [8]byte{1}
	_, _ = unix.Write(t.irq, one[:]) // the counter cannot overflow: KVM takes what is there
}

// Work serves queue n until the process ends. It blocks in read(2) on a thread
// of its own: one wake-up a notification, where Go's poller would take epoll as
// well.
func (t *Transport) work(n int) {
	s := t.queues[n]
	var b [8]byte
	for {
		if _, err := unix.Read(s.notify, b[:]); err == unix.EINTR {
			continue
		} else if err != nil {
			return
		}
		s.Kicks.Add(1)
		t.serve(n)
	}
}

func (t *Transport) serve(n int) {
	s := t.queues[n]
	s.serving.Lock()
	defer s.serving.Unlock()
	t.dev.Serve(n, &s.Queue)
}

// Start begins to serve all queues.
func (t *Transport) Start() {
	for i := range t.queues {
		go t.work(i)
	}
}

// Drain handles what is still queued when the processors have stopped: a guest
// may end right after its last notification, which then lies unread in the
// event descriptor.
func (t *Transport) Drain() {
	for i := range t.queues {
		t.serve(i)
	}
}

// Kicks is the number of notifications of all queues.
func (t *Transport) Kicks() (n int64) {
	for _, s := range t.queues {
		n += s.Kicks.Load()
	}
	return n
}

// The registers (4.2.2).
const (
	regMagic         = 0x00
	regVersion       = 0x04
	regDeviceID      = 0x08
	regVendorID      = 0x0c
	regDevFeatures   = 0x10
	regDevSelect     = 0x14
	regDrvFeatures   = 0x20
	regDrvSelect     = 0x24
	regQueueSelect   = 0x30
	regQueueMax      = 0x34
	regQueueSize     = 0x38
	regQueueReady    = 0x44
	regQueueNotify   = 0x50
	regInterrupt     = 0x60
	regInterruptAck  = 0x64
	regStatus        = 0x70
	regDescLow       = 0x80
	regAvailLow      = 0x90
	regUsedLow       = 0xa0
	regSharedLenLow  = 0xb0
	regSharedBaseTop = 0xbc
	regConfig        = 0x100
)

// word is a register that a driver reads.
func (t *Transport) word(off uint64) *uint32 {
	return (*uint32)(unsafe.Pointer(&t.window[off]))
}

func (t *Transport) show(off uint64, v uint32) { atomic.StoreUint32(t.word(off), v) }

// describe shows what never changes, and what is selected at first.
func (t *Transport) describe() {
	t.show(regMagic, 0x74726976) // "virt"
	t.show(regVersion, 2)
	t.show(regDeviceID, t.dev.ID())
	t.show(regVendorID, 0x4f545341)
	for off := uint64(regSharedLenLow); off <= regSharedBaseTop; off += 4 {
		t.show(off, 0xffffffff) // no shared memory region: its length is -1
	}
	copy(t.window[regConfig:], t.dev.Config())
	t.showSelected()
}

// Store handles a guest's store at an offset of the window.
func (t *Transport) Store(off uint64, data []byte) {
	if len(data) != 4 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.store(off, binary.LittleEndian.Uint32(data))
	t.showSelected()
}

// showSelected shows the registers that are others after a store of a selector,
// or of the selected queue's.
func (t *Transport) showSelected() {
	var features, most, ready uint32
	if t.devSel < 2 {
		features = uint32(t.offered() >> (32 * t.devSel))
	}
	if q := t.selected(); q != nil {
		if most = q.max; q.ready {
			ready = 1
		}
	}
	t.show(regDevFeatures, features)
	t.show(regQueueMax, most)
	t.show(regQueueReady, ready)
}

func (t *Transport) offered() uint64 {
	return t.dev.Features() | featureVersion1 | featureEventIdx | featureIndirect
}

func (t *Transport) selected() *slot {
	if uint64(t.qSel) < uint64(len(t.queues)) {
		return t.queues[t.qSel]
	}
	return nil
}

func (t *Transport) store(off uint64, v uint32) {
	switch off {
	case regDevSelect:
		t.devSel = v
	case regDrvFeatures:
		if t.drvSel < 2 {
			half(&t.features, t.drvSel == 1, v)
		}
	case regDrvSelect:
		t.drvSel = v
	case regQueueSelect:
		t.qSel = v
	case regInterruptAck:
		atomic.AndUint32(t.word(regInterrupt), ^v)
	case regStatus:
		t.setStatus(v)
	}
	if q := t.selected(); q != nil && t.status&statusDriverOK == 0 {
		q.store(off, v, t.features&featureEventIdx != 0)
	}
}

// store sets up a queue, which a driver does before it is ready.
func (q *slot) store(off uint64, v uint32, eventIdx bool) {
	switch off {
	case regQueueSize:
		q.wanted = v
	case regQueueReady:
		q.close()
		q.ready = v == 1 && q.wanted <= q.max && q.open(q.wanted, q.descAddr, q.availAddr, q.usedAddr, eventIdx) == nil
	case regDescLow, regDescLow + 4:
		half(&q.descAddr, off != regDescLow, v)
	case regAvailLow, regAvailLow + 4:
		half(&q.availAddr, off != regAvailLow, v)
	case regUsedLow, regUsedLow + 4:
		half(&q.usedAddr, off != regUsedLow, v)
	}
}

func half(p *uint64, high bool, v uint32) {
	if high {
		*p = *p&0xffffffff | uint64(v)<<32
	} else {
		*p = *p&^0xffffffff | uint64(v)
	}
}

func (t *Transport) setStatus(v uint32) {
	if v == 0 {
		for _, q := range t.queues {
			q.close()
			q.ready = false
		}
		t.dev.Reset()
		t.features, t.status = 0, 0
		t.broken.Store(false)
		t.show(regInterrupt, 0)
		t.show(regStatus, 0)
		return
	}
	if v&statusFeaturesOK != 0 && t.features&^t.offered() != 0 {
		v &^= statusFeaturesOK // refused
	}
	started := v&statusDriverOK != 0 && t.status&statusDriverOK == 0
	t.status = v
	t.show(regStatus, v)
	if t.broken.Load() {
		atomic.OrUint32(t.word(regStatus), statusNeedsReset)
	}
	if started {
		if d, ok := t.dev.(Accepter); ok {
			d.Accept(t.features)
		}
		// What the driver queued before it said so.
		one := [8]byte{1}
		for _, q := range t.queues {
			_, _ = unix.Write(q.notify, one[:])
		}
	}
}
