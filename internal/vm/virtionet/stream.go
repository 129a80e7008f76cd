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

// patience is how long a frame waits for who reads the socket. One who has not
// read for that long is not waited for until it does: the frames are lost, and
// the machine can end.
const patience = 1000 // ms

// transmitStream sends a frame. What cannot be sent whole ends the connection:
// the next frame would be taken for the rest of this one.
func (d *Device) transmitStream(frame [][]byte) {
	length := binary.BigEndian.AppendUint32(nil, uint32(virtio.Length(frame)))
	whole := append([][]byte{length}, frame...)
	for rest := whole; len(rest) > 0; {
		n, err := unix.SendmsgBuffers(d.wire, rest[:min(len(rest), maxPieces)], nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
		switch {
		case err == nil:
			rest, d.stalled = virtio.Skip(rest, n), false
		case err == unix.EINTR || err == unix.EAGAIN && d.room():
		default:
			if virtio.Length(rest) < virtio.Length(whole) {
				_ = unix.Shutdown(d.wire, unix.SHUT_RDWR) // it may have ended by itself
			}
			return
		}
	}
}

// room waits for room in the socket.
func (d *Device) room() bool {
	if d.stalled {
		return false
	}
	ready, err := unix.Poll([]unix.PollFd{{Fd: int32(d.wire), Events: unix.POLLOUT}}, patience)
	d.stalled = err == nil && ready == 0
	return !d.stalled
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
