package virtio

import (
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"unsafe"

	"ostia/internal/vm/memory"
)

// Queue is the device's side of one split virtqueue. Everything in guest memory
// is hostile and may change at any moment: addresses and lengths are checked,
// loops end, and each value is read once.
type Queue struct {
	mem       *memory.Memory
	interrupt func()
	broken    func()

	mu                sync.Mutex
	size              uint16 // 0: not in use
	desc, avail, used []byte
	next, done        uint16
	signalled         uint16
	eventIdx          bool
	generation        uint32 // counts resets: a request of an earlier one is dropped
}

// Chain is one request: what the driver wrote, and where the device may write.
type Chain struct {
	In, Out    [][]byte
	head       uint16
	generation uint32
}

// errQueue is a queue that no driver would write: the device wants a reset.
var errQueue = errors.New("virtio: malformed queue")

// Descriptor flags.
const (
	descNext     = 1
	descWrite    = 2
	descIndirect = 4
)

// open begins to use a queue at the addresses that the driver gave.
func (q *Queue) open(size uint32, desc, avail, used uint64, eventIdx bool) error {
	n := uint64(size)
	if n == 0 || n&(n-1) != 0 || n > 32768 || desc%16 != 0 || avail%4 != 0 || used%4 != 0 {
		return errQueue
	}
	d, ok1 := q.mem.Slice(desc, 16*n)
	a, ok2 := q.mem.Slice(avail, 6+2*n)
	u, ok3 := q.mem.Slice(used, 6+8*n)
	if !ok1 || !ok2 || !ok3 {
		return errQueue
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.desc, q.avail, q.used = d, a, u
	q.size, q.eventIdx = uint16(n), eventIdx
	q.next, q.done, q.signalled = 0, 0, 0
	return nil
}

// close stops the use of a queue. Requests that are under way answer nobody.
func (q *Queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.size = 0
	q.generation++
}

// index is that of a ring: the upper half of an aligned word, since Go's
// smallest atomics have 32 bits.
func index(ring []byte) uint16 {
	return uint16(atomic.LoadUint32((*uint32)(unsafe.Pointer(&ring[0]))) >> 16)
}

// Pop takes the next request, nil for none.
func (q *Queue) Pop() *Chain {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.size == 0 || !q.available() {
		return nil
	}
	c, err := q.chain()
	if err != nil {
		q.size = 0
		q.broken()
		return nil
	}
	return c
}

// available reports whether the driver has offered more than was taken. If
// not, it asks for a notification of the next, and looks again, since that may
// have come between.
func (q *Queue) available() bool {
	if index(q.avail) != q.next {
		return true
	}
	if !q.eventIdx {
		return false
	}
	// The index of the used ring is stored again with it: a word is the
	// smallest that an atomic store, which is a full barrier, can have.
	event := q.used[4+8*int(q.size):]
	binary.LittleEndian.PutUint16(event, q.next)
	atomic.SwapUint32((*uint32)(unsafe.Pointer(&q.used[0])), uint32(q.done)<<16)
	return index(q.avail) != q.next
}

// chain reads the descriptors of the next request.
func (q *Queue) chain() (*Chain, error) {
	le := binary.LittleEndian
	c := &Chain{head: le.Uint16(q.avail[4+2*int(q.next%q.size):]), generation: q.generation}
	q.next++
	table, indirect := q.desc, false
	for i, n := c.head, 0; ; n++ {
		if n > int(q.size) || int(i)*16+16 > len(table) {
			return nil, errQueue
		}
		d := table[int(i)*16:]
		addr, size, flags, next := le.Uint64(d), le.Uint32(d[8:]), le.Uint16(d[12:]), le.Uint16(d[14:])
		b, ok := q.mem.Slice(addr, uint64(size))
		switch {
		case !ok:
			return nil, errQueue
		case flags&descIndirect != 0:
			if indirect || size == 0 || size%16 != 0 {
				return nil, errQueue
			}
			table, indirect, i = b, true, 0
			continue
		case flags&descWrite != 0:
			c.Out = append(c.Out, b)
		default:
			c.In = append(c.In, b)
		}
		if flags&descNext == 0 {
			return c, nil
		}
		i = next
	}
}

// Push returns a request with the number of bytes written to Out, and
// interrupts the driver if it wants to hear of it.
func (q *Queue) Push(c *Chain, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.put(c, n) {
		q.publish()
	}
}

// PushAll writes b to the Out of one request after another, and returns them to
// the driver at once. There is room for b in them.
func (q *Queue) PushAll(chains []*Chain, b []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := len(chains) > 0
	for _, c := range chains {
		n := Scatter(c.Out, b)
		b = b[n:]
		all = q.put(c, n) && all
	}
	if all {
		q.publish()
	}
}

// put enters a request into the used ring, where the driver does not see it
// yet, unless the queue has been reset since it was taken.
func (q *Queue) put(c *Chain, n int) bool {
	if q.size == 0 || c.generation != q.generation {
		return false
	}
	e := q.used[4+8*int(q.done%q.size):]
	binary.LittleEndian.PutUint32(e, uint32(c.head))
	binary.LittleEndian.PutUint32(e[4:], uint32(n))
	q.done++
	return true
}

// publish shows the driver what was put.
func (q *Queue) publish() {
	atomic.SwapUint32((*uint32)(unsafe.Pointer(&q.used[0])), uint32(q.done)<<16)
	q.signal()
}

// signal interrupts unless the driver has said not to (2.7.7, 2.7.10).
func (q *Queue) signal() {
	old := q.signalled
	q.signalled = q.done
	if q.eventIdx {
		event := binary.LittleEndian.Uint16(q.avail[4+2*int(q.size):])
		if q.done-event-1 >= q.done-old {
			return
		}
	} else if binary.LittleEndian.Uint16(q.avail)&1 != 0 {
		return
	}
	q.interrupt()
}

// Gather copies the first bytes of a list of buffers to b and returns how many
// there were.
func Gather(b []byte, from [][]byte) (n int) {
	for _, f := range from {
		n += copy(b[n:], f)
	}
	return n
}

// Scatter copies b to a list of buffers and returns how much found room.
func Scatter(to [][]byte, b []byte) (n int) {
	for _, t := range to {
		n += copy(t, b[n:])
	}
	return n
}

// Skip returns what lies behind the first n bytes of a list of buffers.
func Skip(v [][]byte, n int) [][]byte {
	for len(v) > 0 && n >= len(v[0]) {
		n -= len(v[0])
		v = v[1:]
	}
	if len(v) == 0 || n == 0 {
		return v
	}
	return append([][]byte{v[0][n:]}, v[1:]...)
}

// Limit returns the first n bytes of a list of buffers.
func Limit(v [][]byte, n int) (l [][]byte) {
	for _, b := range v {
		if n <= 0 {
			break
		}
		b = b[:min(n, len(b))]
		l = append(l, b)
		n -= len(b)
	}
	return l
}

// Length is the number of bytes in a list of buffers.
func Length(v [][]byte) (n int) {
	for _, b := range v {
		n += len(b)
	}
	return n
}
