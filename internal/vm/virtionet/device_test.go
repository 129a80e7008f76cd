package virtionet

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

// Whatever a guest calls a frame, in whatever pieces, goes to the tap as it is
// or not at all.
func FuzzTransmit(f *testing.F) {
	f.Add(bytes.Repeat([]byte{1}, HeaderSize+60), uint16(12))
	f.Add(make([]byte, HeaderSize+ethernetHeader), uint16(1))
	f.Add([]byte{}, uint16(0))
	// A socket keeps what one write wrote together, as a tap does.
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		unix.Close(pair[0])
		unix.Close(pair[1])
	})
	d := NewDevice(pair[0], [6]byte{2}, 1500)
	got := make([]byte, HeaderSize+2*maxFrame)
	f.Fuzz(func(t *testing.T, frame []byte, piece uint16) {
		var pieces [][]byte
		for rest := frame; len(rest) > 0; {
			n := min(len(rest), int(piece)+1)
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		d.transmit(pieces)
		n, err := unix.Read(pair[1], got)
		lost := len(frame) < HeaderSize+ethernetHeader || len(frame) > HeaderSize+maxFrame || len(pieces) > maxPieces
		if lost != (err == unix.EAGAIN) || !lost && !bytes.Equal(got[:n], frame) {
			t.Errorf("of a frame of %d bytes in %d pieces %d came, %v", len(frame), len(pieces), n, err)
		}
	})
}
