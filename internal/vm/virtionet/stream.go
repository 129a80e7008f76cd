package virtionet

import (
	"bufio"
	"encoding/binary"
	"io"

	"ostia/internal/vm/virtio"

	"golang.org/x/sys/unix"
)

// lengthSize is that of the length before a frame on a stream.
const lengthSize = 4

// transmitStream sends a frame. Who reads it sets the pace: a slow one makes the
// guest wait, which loses nothing.
func (d *Device) transmitStream(frame [][]byte) {
	length := binary.BigEndian.AppendUint32(nil, uint32(virtio.Length(frame)))
	for rest := append([][]byte{length}, frame...); len(rest) > 0; {
		n, err := unix.SendmsgBuffers(d.wire, rest[:min(len(rest), maxPieces)], nil, nil, unix.MSG_NOSIGNAL)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return
		}
		rest = virtio.Skip(rest, n)
	}
}

// receiveStream takes frames from the socket until that is closed. What cannot
// be the length of a frame is the end too: nobody knows where the next begins.
func (d *Device) receiveStream(q *virtio.Queue) {
	in := bufio.NewReaderSize(socket(d.wire), 1<<16)
	var length [lengthSize]byte
	frame := make([]byte, HeaderSize+maxFrame)
	for {
		if _, err := io.ReadFull(in, length[:]); err != nil {
			return
		}
		n := binary.BigEndian.Uint32(length[:])
		if n < ethernetHeader || n > maxFrame {
			_ = unix.Shutdown(d.wire, unix.SHUT_RDWR) // it may have ended by itself
			return
		}
		whole := frame[:HeaderSize+n]
		clear(whole[:HeaderSize])
		if _, err := io.ReadFull(in, whole[HeaderSize:]); err != nil {
			return
		}
		d.deliver(q, whole)
	}
}

// socket reads from a descriptor.
type socket int

func (s socket) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(int(s), b)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}
