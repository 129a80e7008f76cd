// Package virtionet is the virtio network device: it moves frames between the
// guest's queues and a tap, or a socket. It knows nothing of what a frame holds:
// the header before each, which asks for checksums and segments, is the kernel's
// to judge, and empty where a socket takes the frames.
package virtionet

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"ostia/internal/vm/virtio"

	"golang.org/x/sys/unix"
)

// HeaderSize is that of the header before a frame, in the tap as in the queues
// (struct virtio_net_hdr_v1).
const HeaderSize = 12

const (
	ethernetHeader = 14
	maxFrame       = 65535 + ethernetHeader + 4 // a segment to be, with a VLAN's tag
	maxPieces      = 1024                       // IOV_MAX
)

// Feature bits.
const (
	featureChecksum      = 1 << 0 // the driver may leave checksums to us
	featureGuestChecksum = 1 << 1 // and we to the driver
	featureMTU           = 1 << 3
	featureMAC           = 1 << 5
	featureGuestTSO4     = 1 << 7 // frames of up to 64 KiB to the driver
	featureGuestTSO6     = 1 << 8
	featureHostTSO4      = 1 << 11 // and from it
	featureHostTSO6      = 1 << 12
	featureMergeable     = 1 << 15 // a frame may take several buffers
)

// The queues.
const (
	receiveQueue = iota
	transmitQueue
)

// Device is a network card.
type Device struct {
	wire    int // a tap or a socket
	stream  bool
	stalled bool // nobody has read the socket for a while; the transmit queue's
	mac     [6]byte
	mtu     uint16

	reading   sync.Once
	offered   chan struct{} // the driver has offered buffers, or has reset the device
	mergeable atomic.Bool
	resets    atomic.Uint32
}

// NewDevice makes a card in front of a tap that has IFF_VNET_HDR with headers
// of HeaderSize.
func NewDevice(tap int, mac [6]byte, mtu uint16) *Device {
	return &Device{wire: tap, mac: mac, mtu: mtu, offered: make(chan struct{}, 1)}
}

// NewStreamDevice makes a card in front of a stream socket on which the length
// of each frame comes before it, in 32 bits of network order, as passt(1) has it.
func NewStreamDevice(socket int, mac [6]byte, mtu uint16) *Device {
	d := NewDevice(socket, mac, mtu)
	d.stream = true
	return d
}

// ID, Features, Queues and Config are those of virtio.Device.
func (d *Device) ID() uint32       { return 1 }
func (d *Device) Queues() []uint16 { return []uint16{256, 256} }

func (d *Device) Features() uint64 {
	if d.stream {
		return featureMTU | featureMAC | featureMergeable
	}
	return featureChecksum | featureGuestChecksum | featureMTU | featureMAC | featureGuestTSO4 | featureGuestTSO6 |
		featureHostTSO4 | featureHostTSO6 | featureMergeable
}

func (d *Device) Config() []byte {
	c := append(make([]byte, 0, 12), d.mac[:]...)
	c = append(c, 0, 0, 1, 0) // status, which is not offered; one pair of queues
	return binary.LittleEndian.AppendUint16(c, d.mtu)
}

// Accept hears which features the driver uses: the kernel completes what the
// driver does not want to.
func (d *Device) Accept(features uint64) {
	d.mergeable.Store(features&featureMergeable != 0)
	if d.stream {
		return
	}
	offload := 0
	for _, f := range [...]struct {
		feature uint64
		flag    int
	}{{featureGuestChecksum, unix.TUN_F_CSUM}, {featureGuestTSO4, unix.TUN_F_TSO4}, {featureGuestTSO6, unix.TUN_F_TSO6}} {
		if features&f.feature != 0 {
			offload |= f.flag
		}
	}
	_ = unix.IoctlSetInt(d.wire, unix.TUNSETOFFLOAD, offload) // a combination that the kernel refuses leaves all to it
}

// Reset forgets the frame that waits for buffers.
func (d *Device) Reset() {
	d.resets.Add(1)
	d.wake()
}

func (d *Device) wake() {
	select {
	case d.offered <- struct{}{}:
	default:
	}
}

// Serve sends what the driver has queued, and has the reader know of buffers.
func (d *Device) Serve(n int, q *virtio.Queue) {
	if n == receiveQueue {
		d.wake()
		d.reading.Do(func() {
			if d.stream {
				go d.receiveStream(q)
			} else {
				go d.receive(q)
			}
		})
		return
	}
	for c := q.Pop(); c != nil; c = q.Pop() {
		d.transmit(c.In)
		q.Push(c, 0)
	}
}

// transmit gives the kernel a frame behind its header, or the socket the frame.
// One that is not taken is lost, as on a wire.
func (d *Device) transmit(frame [][]byte) {
	if n := virtio.Length(frame); n < HeaderSize+ethernetHeader || n > HeaderSize+maxFrame || len(frame) > maxPieces {
		return
	}
	if d.stream {
		d.transmitStream(virtio.Skip(frame, HeaderSize))
		return
	}
	for {
		if _, err := unix.Writev(d.wire, frame); err != unix.EINTR {
			return
		}
	}
}

// receive takes frames from the tap until that is gone.
func (d *Device) receive(q *virtio.Queue) {
	frame := make([]byte, HeaderSize+maxFrame)
	for {
		n, err := unix.Read(d.wire, frame)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n < HeaderSize {
			return
		}
		d.deliver(q, frame[:n])
	}
}

// deliver puts a frame into buffers of the driver, and waits for them if need
// be: the tap then drops what comes meanwhile.
func (d *Device) deliver(q *virtio.Queue, frame []byte) {
	resets, room := d.resets.Load(), 0
	var chains []*virtio.Chain
	for room < len(frame) && (len(chains) == 0 || d.mergeable.Load()) {
		c := q.Pop()
		if c != nil {
			chains, room = append(chains, c), room+virtio.Length(c.Out)
			continue
		}
		<-d.offered
		if d.resets.Load() != resets {
			return
		}
	}
	if room < len(frame) {
		q.Push(chains[0], 0)
		return
	}
	binary.LittleEndian.PutUint16(frame[10:], uint16(len(chains)))
	q.PushAll(chains, frame)
}
