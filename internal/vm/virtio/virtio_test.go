package virtio

import (
	"encoding/binary"
	"testing"

	"ostia/internal/vm/memory"

	"golang.org/x/sys/unix"
)

// device answers every request with a byte in each buffer.
type device struct{}

func (device) ID() uint32       { return 42 }
func (device) Features() uint64 { return 0 }
func (device) Queues() []uint16 { return []uint16{8} }
func (device) Config() []byte   { return []byte{1, 2, 3} }
func (device) Reset()           {}

func (device) Serve(_ int, q *Queue) {
	for c := q.Pop(); c != nil; c = q.Pop() {
		Gather(make([]byte, 64), c.In)
		answer := make([]byte, 64)
		if next := q.Pop(); next != nil {
			q.PushAll([]*Chain{c, next}, answer)
			continue
		}
		q.Push(c, Scatter(c.Out, answer))
	}
}

// newTransport is a transport without a KVM.
func newTransport(t testing.TB, mem *memory.Memory) *Transport {
	t.Helper()
	irq, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(irq) })
	tr := &Transport{dev: device{}, irq: irq, window: make([]byte, WindowSize)}
	s := &slot{max: 8, notify: irq}
	s.mem, s.interrupt, s.Queue.broken = mem, tr.usedBuffer, tr.needsReset
	tr.queues = []*slot{s}
	tr.describe()
	return tr
}

const descAt, availAt, usedAt, dataAt = 0x0, 0x100, 0x200, 0x1000

// setUp does what a driver does.
func setUp(tr *Transport) {
	for _, r := range []struct {
		off uint64
		v   uint32
	}{{regStatus, 1}, {regDrvSelect, 1}, {regDrvFeatures, 1}, {regStatus, 8 | 1}, {regQueueSelect, 0}, {regQueueSize, 8},
		{regDescLow, descAt}, {regAvailLow, availAt}, {regUsedLow, usedAt}, {regQueueReady, 1}, {regStatus, 4 | 8 | 1}} {
		tr.Store(r.off, binary.LittleEndian.AppendUint32(nil, r.v))
	}
}

func newMemory(t testing.TB) *memory.Memory {
	t.Helper()
	m, err := memory.New(2 << 20)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// offer puts descriptors into the table and the first of them into the ring.
func offer(m *memory.Memory, descriptors ...[4]uint64) {
	le := binary.LittleEndian
	for i, d := range descriptors {
		b := m.Low()[descAt+16*i:]
		le.PutUint64(b, d[0])
		le.PutUint32(b[8:], uint32(d[1]))
		le.PutUint16(b[12:], uint16(d[2]))
		le.PutUint16(b[14:], uint16(d[3]))
	}
	le.PutUint16(m.Low()[availAt+2:], 1)
}

// What a driver reads is what it has selected, and what it has set up.
func TestWindow(t *testing.T) {
	tr := newTransport(t, newMemory(t))
	read := func(what string, off uint64, want uint32) {
		t.Helper()
		if got := *tr.word(off); got != want {
			t.Errorf("%s: %#x, want %#x", what, got, want)
		}
	}
	store := func(off uint64, v uint32) { tr.Store(off, binary.LittleEndian.AppendUint32(nil, v)) }
	read("device", regDeviceID, 42)
	read("configuration", regConfig, 0x030201)
	read("features at first", regDevFeatures, featureIndirect|featureEventIdx)
	read("queue size at first", regQueueMax, 8)
	store(regDevSelect, 1)
	read("upper features", regDevFeatures, featureVersion1>>32)
	store(regDevSelect, 2)
	read("no features", regDevFeatures, 0)
	setUp(tr)
	read("queue size", regQueueMax, 8)
	read("queue ready", regQueueReady, 1)
	read("status", regStatus, 4|8|1)
	store(regQueueSelect, 1)
	read("no queue's size", regQueueMax, 0)
	read("no queue ready", regQueueReady, 0)
	tr.needsReset()
	read("cause", regInterrupt, interruptConfig)
	store(regInterruptAck, interruptConfig)
	read("cause, acknowledged", regInterrupt, 0)
	store(regStatus, 0)
	store(regQueueSelect, 0)
	read("queue ready after a reset", regQueueReady, 0)
	read("status after a reset", regStatus, 0)
}

func TestQueueAnswers(t *testing.T) {
	m := newMemory(t)
	tr := newTransport(t, m)
	setUp(tr)
	offer(m, [4]uint64{dataAt, 16, descNext, 1}, [4]uint64{dataAt + 16, 8, descWrite, 0})
	tr.serve(0)
	used := m.Low()[usedAt:]
	if got := binary.LittleEndian.Uint16(used[2:]); got != 1 {
		t.Fatalf("used index %d", got)
	}
	if got := binary.LittleEndian.Uint32(used[8:]); got != 8 {
		t.Errorf("wrote %d bytes, want 8", got)
	}
	if *tr.word(regInterrupt)&interruptUsed == 0 {
		t.Error("no interrupt")
	}
}

// What takes several requests is returned with all of them at once.
func TestPushAll(t *testing.T) {
	m := newMemory(t)
	tr := newTransport(t, m)
	setUp(tr)
	offer(m, [4]uint64{dataAt, 40, descWrite, 0}, [4]uint64{dataAt + 64, 40, descWrite, 0})
	le := binary.LittleEndian
	le.PutUint16(m.Low()[availAt+4+2:], 1)
	le.PutUint16(m.Low()[availAt+2:], 2)
	tr.serve(0)
	used := m.Low()[usedAt:]
	if n, first, second := le.Uint16(used[2:]), le.Uint32(used[8:]), le.Uint32(used[16:]); n != 2 || first != 40 || second != 24 {
		t.Errorf("%d requests are back with %d and %d bytes, want 2 with 40 and 24", n, first, second)
	}
}

// A queue that no driver writes has the device ask for a reset.
func TestQueueMalformed(t *testing.T) {
	for name, d := range map[string][4]uint64{
		"outside of memory": {1 << 40, 16, 0, 0},
		"a length too far":  {dataAt, 3 << 20, 0, 0},
		"a loop":            {dataAt, 16, descNext, 0},
		"next too far":      {dataAt, 16, descNext, 77},
		"indirect, empty":   {dataAt, 0, descIndirect, 0},
		"indirect, uneven":  {dataAt, 17, descIndirect, 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory(t)
			tr := newTransport(t, m)
			setUp(tr)
			offer(m, d)
			tr.serve(0)
			if status := *tr.word(regStatus); status&statusNeedsReset == 0 {
				t.Errorf("status %#x, want NEEDS_RESET", status)
			}
			tr.Store(regStatus, make([]byte, 4))
			if status := *tr.word(regStatus); status != 0 {
				t.Errorf("status %#x after a reset", status)
			}
		})
	}
}

// A request that is under way when the driver resets answers nobody.
func TestResetDropsRequests(t *testing.T) {
	m := newMemory(t)
	tr := newTransport(t, m)
	setUp(tr)
	offer(m, [4]uint64{dataAt, 16, descWrite, 0})
	c := tr.queues[0].Pop()
	if c == nil {
		t.Fatal("no request")
	}
	tr.Store(regStatus, make([]byte, 4))
	setUp(tr)
	tr.queues[0].Push(c, 4)
	if got := binary.LittleEndian.Uint16(m.Low()[usedAt+2:]); got != 0 {
		t.Errorf("used index %d, want 0", got)
	}
}

// Whatever a guest writes to memory and to registers, nothing panics or hangs.
func FuzzGuest(f *testing.F) {
	m := newMemory(f)
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0}, []byte{0x70, 4, 0, 0, 0})
	f.Add([]byte{0, 16, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0}, []byte{})
	f.Fuzz(func(t *testing.T, mem, registers []byte) {
		tr := newTransport(t, m)
		low := m.Low()[:0x2000]
		clear(low)
		copy(low, mem)
		setUp(tr)
		for i := 0; len(registers) >= 5 && i < 64; i++ {
			tr.Store(uint64(registers[0]), registers[1:5])
			registers = registers[5:]
		}
		tr.serve(0)
	})
}
