// Package vsock is a virtio socket device whose host side lives in this
// process: a guest connects to a port, and what listens there gets a Conn. It
// makes no host socket.
package vsock

import (
	"encoding/binary"
	"sync"

	"ostia/internal/vm/virtio"
)

const (
	window   = 256 << 10 // what a connection holds for its reader here
	outgoing = 64 << 10  // and for the guest, before a writer waits
	maxConns = 256
	// maxPending answers may wait for the guest to offer buffers. A guest that
	// offers none is not listened to.
	maxPending = 1024
)

// Device is the guest's way to the host.
type Device struct {
	// Accept takes a connection to a port, on a goroutine of its own.
	Accept func(port uint32, c *Conn)

	mu      sync.Mutex
	rx, tx  *virtio.Queue
	pending []header // packets without data
	conns   map[ports]*Conn
	order   []*Conn // whose turn it is to send
}

type ports struct{ guest, host uint32 }

// ID, Features, Queues and Config are those of virtio.Device.
func (d *Device) ID() uint32       { return 19 }
func (d *Device) Features() uint64 { return 0 }
func (d *Device) Queues() []uint16 { return []uint16{128, 128, 16} }
func (d *Device) Config() []byte   { return binary.LittleEndian.AppendUint64(nil, guestCID) }

// Reset ends every connection.
func (d *Device) Reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.conns {
		c.end(ErrReset)
	}
	d.rx, d.tx, d.pending, d.conns, d.order = nil, nil, nil, nil, nil
}

// The queues.
const (
	rxQueue = iota
	txQueue
)

// Serve moves packets.
func (d *Device) Serve(n int, q *virtio.Queue) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch n {
	case rxQueue:
		d.rx = q
	case txQueue:
		d.tx = q
	default:
		return
	}
	d.receive()
	d.flush()
}

// receive takes the guest's packets while there is room for the answers.
func (d *Device) receive() {
	for d.tx != nil && len(d.pending) < maxPending {
		c := d.tx.Pop()
		if c == nil {
			return
		}
		d.packet(c.In)
		d.tx.Push(c, 0)
	}
}

// packet handles one packet of the guest.
func (d *Device) packet(in [][]byte) {
	var raw [headerSize]byte
	if virtio.Gather(raw[:], in) < headerSize {
		return
	}
	h := parseHeader(&raw)
	if !h.fromToKnown {
		return
	}
	key := ports{h.src, h.dst}
	c := d.conns[key]
	if c != nil {
		c.peerBuffer, c.peerForwarded = h.buffer, h.forwarded
		c.changed.Broadcast()
	}
	switch {
	case h.op == opRequest && c == nil && len(d.conns) < maxConns:
		d.open(key, &h)
	case h.op == opReset:
		if c != nil {
			d.forget(c, ErrReset)
		}
	case c == nil || h.op == opRequest:
		d.pending = append(d.pending, header{src: h.dst, dst: h.src, op: opReset})
	case h.op == opData:
		if !c.take(virtio.Limit(virtio.Skip(in, headerSize), int(h.size))) {
			d.reset(c) // more than its credit
		}
	case h.op == opCreditRequest:
		c.tellCredit()
	case h.op == opShutdown:
		c.peerShut |= h.flags
		c.changed.Broadcast()
		if c.peerShut == noMoreReceive|noMoreSend {
			d.reset(c)
		}
	}
}

func (d *Device) open(key ports, h *header) {
	c := &Conn{d: d, key: key, peerBuffer: h.buffer, peerForwarded: h.forwarded}
	c.changed.L = &d.mu
	if d.conns == nil {
		d.conns = make(map[ports]*Conn)
	}
	d.conns[key] = c
	d.order = append(d.order, c)
	c.send(opResponse, 0)
	go d.Accept(key.host, c)
}

// reset ends a connection and tells the guest.
func (d *Device) reset(c *Conn) {
	d.pending = append(d.pending, header{src: c.key.host, dst: c.key.guest, op: opReset})
	d.forget(c, ErrReset)
}

// forget drops a connection. What has come is still there to be read.
func (d *Device) forget(c *Conn, err error) {
	c.end(err)
	delete(d.conns, c.key)
	for i, o := range d.order {
		if o == c {
			d.order = append(d.order[:i], d.order[i+1:]...)
			break
		}
	}
}

// flush gives the guest what waits for it, as far as it has offered buffers,
// and then takes what was held back for want of room.
func (d *Device) flush() {
	if d.rx == nil {
		return
	}
	for {
		full := len(d.pending) >= maxPending
		for len(d.pending) > 0 && d.deliver(&d.pending[0], nil) {
			d.pending = d.pending[1:]
		}
		if full && len(d.pending) < maxPending {
			d.receive()
			continue
		}
		break
	}
	for turn := 0; turn < len(d.order); {
		c := d.order[0]
		d.order = append(d.order[1:], c)
		sent, room := c.deliver()
		if !room {
			return
		}
		if sent {
			turn = 0
		} else {
			turn++
		}
	}
}

// deliver puts one packet into a buffer of the guest. data is cut to what fits,
// which is h.size afterwards.
func (d *Device) deliver(h *header, data []byte) bool {
	c := d.rx.Pop()
	if c == nil {
		return false
	}
	room := virtio.Length(c.Out) - headerSize
	if room < 0 || room == 0 && len(data) > 0 {
		d.rx.Push(c, 0) // no buffer that any driver offers
		return false
	}
	data = data[:min(len(data), room)]
	h.size = uint32(len(data))
	var raw [headerSize]byte
	h.appendTo(raw[:0])
	n := virtio.Scatter(c.Out, raw[:])
	n += virtio.Scatter(virtio.Skip(c.Out, headerSize), data)
	d.rx.Push(c, n)
	return true
}
