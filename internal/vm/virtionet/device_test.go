package virtionet

import (
	"bytes"
	"io"
	"testing"
	"time"

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

// On a stream a frame goes behind its length, without the header, and whole,
// also if it takes more than one write. What cannot be a length ends the
// connection.
func TestStream(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	if err := unix.SetsockoptInt(pair[0], unix.SOL_SOCKET, unix.SO_SNDBUF, 4096); err != nil {
		t.Fatal(err)
	}
	d := NewStreamDevice(pair[0], [6]byte{2}, 1500)
	body := bytes.Repeat([]byte("0123456789abcdef"), 4000)
	go d.transmit([][]byte{make([]byte, HeaderSize-1), append([]byte{0}, body[:1]...), body[1:5], body[5:]})
	got := make([]byte, 4+len(body))
	if _, err := io.ReadFull(socket(pair[1]), got); err != nil || !bytes.Equal(got[:4], []byte{0, 0, 0xfa, 0}) || !bytes.Equal(got[4:], body) {
		t.Errorf("%v: %d bytes that begin with %x", err, len(got), got[:min(len(got), 8)])
	}
	// Who does not read is waited for once, and a part of a frame is the end.
	began := time.Now()
	for range 100 {
		d.transmit([][]byte{make([]byte, HeaderSize), body})
	}
	if took := time.Since(began); took < patience*time.Millisecond || took > 10*patience*time.Millisecond {
		t.Errorf("frames that nobody reads took %v", took)
	}
	if _, err := unix.Write(pair[0], []byte{0}); err != unix.EPIPE {
		t.Errorf("after a part of a frame: %v, want EPIPE", err)
	}
	for _, length := range [][]byte{{0, 0, 0, 13}, {0, 1, 0, 18}, {255, 255, 255, 255}} {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Write(pair[1], length); err != nil {
			t.Fatal(err)
		}
		NewStreamDevice(pair[0], [6]byte{2}, 1500).receiveStream(nil)
		if n, err := (socket(pair[1])).Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("length %x: %d, %v", length, n, err)
		}
		unix.Close(pair[0])
		unix.Close(pair[1])
	}
}
