// Package console is the virtio console device. What the guest's kernel says
// there is kept, for the reason of an end that has no status. Nothing is ever
// typed: processes have their streams and terminals by vsock.
package console

import (
	"strings"
	"sync"
	"time"

	"ostia/internal/vm/virtio"
)

const (
	kept    = 8 << 10     // bytes: a panic's first line and the stack behind it
	recent  = time.Minute // what was said before has hardly to do with an end
	longest = 120         // bytes of a line: it shall not push out what it is added to
)

// Device is a console of one port.
type Device struct {
	mu   sync.Mutex
	said []byte
	at   time.Time
}

// ID, Features, Queues, Config and Reset are those of virtio.Device.
func (*Device) ID() uint32       { return 3 }
func (*Device) Features() uint64 { return 0 }
func (*Device) Queues() []uint16 { return []uint16{8, 64} }
func (*Device) Config() []byte   { return nil } // what it holds belongs to features
func (*Device) Reset()           {}

// Serve takes what the guest says; the buffers of the first queue, for what it
// would hear, stay there.
func (d *Device) Serve(n int, q *virtio.Queue) {
	const speaking = 1
	for n == speaking {
		c := q.Pop()
		if c == nil {
			return
		}
		b := make([]byte, min(virtio.Length(c.In), kept))
		d.keep(b[:virtio.Gather(b, c.In)])
		q.Push(c, 0)
	}
}

func (d *Device) keep(b []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.said, d.at = append(d.said, b...), time.Now()
	if more := len(d.said) - kept; more > 0 {
		d.said = append(d.said[:0], d.said[more:]...)
	}
}

// Last is the line of a panic, which a stack follows, or the last one that was
// said within a minute, without its time; "" for none. It is the guest's text.
func (d *Device) Last() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	said := strings.TrimSpace(string(d.said))
	line := said[strings.LastIndexByte(said, '\n')+1:]
	if i := strings.LastIndex(said, "Kernel panic - not syncing: "); i >= 0 {
		line, _, _ = strings.Cut(said[i:], "\n")
		line = strings.TrimSuffix(strings.TrimSpace(line), " ]---") // the last words of one that does not reset
	} else if time.Since(d.at) > recent {
		return ""
	}
	if stamp, text, ok := strings.Cut(line, "] "); ok && strings.HasPrefix(stamp, "[") {
		line = text
	}
	line = strings.TrimSpace(line)
	return line[:min(len(line), longest)]
}
