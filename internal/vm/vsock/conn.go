package vsock

import (
	"errors"
	"io"
	"sync"
)

// ErrReset says that the guest has ended the connection, or that the machine
// has.
var ErrReset = errors.New("the guest has ended the connection")

// Conn is a stream between the guest and this process. Every method may be
// called at any time.
type Conn struct {
	d       *Device
	key     ports
	changed sync.Cond // on d.mu

	in        []byte // received, not yet read
	forwarded uint32 // bytes read, all in all
	told      uint32 // what the guest last heard of it
	out       []byte // written, not yet given to the guest
	sent      uint32 // bytes given, all in all

	peerBuffer, peerForwarded uint32
	peerShut                  uint32
	shut                      bool // nothing more to write
	shutTold                  bool
	err                       error // the connection has ended
}

// Read waits for data. io.EOF: the guest has said that it sends no more.
func (c *Conn) Read(p []byte) (int, error) {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	for len(c.in) == 0 {
		switch {
		case c.peerShut&noMoreSend != 0:
			return 0, io.EOF
		case c.err != nil:
			return 0, c.err
		}
		c.changed.Wait()
	}
	n := copy(p, c.in)
	c.in = c.in[n:]
	c.forwarded += uint32(n)
	if c.forwarded-c.told >= window/2 && c.err == nil {
		c.tellCredit()
		c.d.flush()
	}
	return n, nil
}

// Write waits until the guest's buffers take p.
func (c *Conn) Write(p []byte) (n int, err error) {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	for n < len(p) {
		for len(c.out) >= outgoing && c.err == nil && !c.deaf() {
			c.changed.Wait()
		}
		switch {
		case c.err != nil:
			return n, c.err
		case c.shut || c.deaf():
			return n, io.ErrClosedPipe
		}
		k := min(len(p)-n, outgoing-len(c.out))
		c.out = append(c.out, p[n:n+k]...)
		n += k
		c.d.flush()
	}
	return n, nil
}

func (c *Conn) deaf() bool { return c.peerShut&noMoreReceive != 0 }

// CloseWrite tells the guest that no more comes.
func (c *Conn) CloseWrite() {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	c.shut = true
	c.d.flush()
}

// Close ends the connection at once.
func (c *Conn) Close() error {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	if c.err == nil {
		c.d.reset(c)
		c.d.flush()
	}
	return nil
}

// end marks the end and wakes who waits. The device is locked.
func (c *Conn) end(err error) {
	c.err = err
	c.changed.Broadcast()
}

// take keeps what the guest has sent; false if it is more than its credit.
func (c *Conn) take(data [][]byte) bool {
	for _, b := range data {
		if len(c.in)+len(b) > window {
			return false
		}
		c.in = append(c.in, b...)
	}
	c.changed.Broadcast()
	return true
}

// send queues a packet without data.
func (c *Conn) send(op uint16, flags uint32) {
	h := c.header(op)
	h.flags = flags
	c.d.pending = append(c.d.pending, h)
}

func (c *Conn) tellCredit() { c.send(opCreditUpdate, 0) }

func (c *Conn) header(op uint16) header {
	c.told = c.forwarded
	return header{src: c.key.host, dst: c.key.guest, op: op, buffer: window, forwarded: c.forwarded}
}

// deliver gives the guest the next piece of what was written. room says that
// the guest had a buffer, or that none was wanted.
func (c *Conn) deliver() (sent, room bool) {
	credit := int(int32(c.peerBuffer - (c.sent - c.peerForwarded)))
	if n := min(len(c.out), credit); n > 0 {
		h := c.header(opData)
		if !c.d.deliver(&h, c.out[:n]) {
			return false, false
		}
		c.out = c.out[h.size:]
		c.sent += h.size
		c.changed.Broadcast()
		return true, true
	}
	if len(c.out) == 0 && c.shut && !c.shutTold {
		h := c.header(opShutdown)
		h.flags = noMoreSend
		if !c.d.deliver(&h, nil) {
			return false, false
		}
		c.shutTold = true
	}
	return false, true
}
