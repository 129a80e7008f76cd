package vsock

import "testing"

// Whatever packets a guest sends, nothing panics, and what is kept of it is
// bounded.
func FuzzPackets(f *testing.F) {
	add := func(hs ...header) {
		var b []byte
		for _, h := range hs {
			b = append(b, fromGuest(h)...)
		}
		f.Add(b)
	}
	add(header{src: 9, dst: 1, op: opRequest, buffer: 4096})
	add(header{src: 9, dst: 1, op: opRequest}, header{src: 9, dst: 1, op: opData, size: 30}, header{src: 9, dst: 1, op: opShutdown, flags: 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		d := &Device{Accept: func(_ uint32, c *Conn) { _ = c.Close() }}
		d.mu.Lock()
		defer d.mu.Unlock()
		for len(b) > 0 && len(d.pending) < maxPending {
			n := min(len(b), headerSize+16)
			d.packet([][]byte{b[:min(n, 20)], b[min(n, 20):n]})
			b = b[n:]
		}
		if len(d.conns) > maxConns || len(d.order) != len(d.conns) {
			t.Errorf("%d connections, %d in order", len(d.conns), len(d.order))
		}
		for _, c := range d.conns {
			if len(c.in) > window {
				t.Errorf("%d bytes are kept", len(c.in))
			}
		}
	})
}

// fromGuest is a packet as a guest would send it.
func fromGuest(h header) []byte {
	b := h.appendTo(nil)
	b[0], b[8] = guestCID, hostCID
	return append(b, make([]byte, 16)...)
}
