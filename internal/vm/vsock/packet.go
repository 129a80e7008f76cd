package vsock

import "encoding/binary"

// Operations of a packet (virtio 1.2, 5.10.6).
const (
	opRequest       = 1
	opResponse      = 2
	opReset         = 3
	opShutdown      = 4
	opData          = 5
	opCreditUpdate  = 6
	opCreditRequest = 7
)

// Flags of opShutdown.
const (
	noMoreReceive = 1
	noMoreSend    = 2
)

// Addresses.
const (
	hostCID  = 2
	guestCID = 3
)

const (
	headerSize = 44
	typeStream = 1
)

// header is that of a packet, without the addresses, which are always the
// guest's and the host's.
type header struct {
	src, dst    uint32 // ports
	size        uint32
	op          uint16
	flags       uint32
	buffer      uint32 // what the sender can hold
	forwarded   uint32 // how much of it its reader has taken
	fromToKnown bool
}

func parseHeader(b *[headerSize]byte) header {
	le := binary.LittleEndian
	return header{
		fromToKnown: le.Uint64(b[0:]) == guestCID && le.Uint64(b[8:]) == hostCID && le.Uint16(b[28:]) == typeStream,
		src:         le.Uint32(b[16:]), dst: le.Uint32(b[20:]), size: le.Uint32(b[24:]),
		op: le.Uint16(b[30:]), flags: le.Uint32(b[32:]), buffer: le.Uint32(b[36:]), forwarded: le.Uint32(b[40:]),
	}
}

// appendTo writes the header of a packet to the guest.
func (h *header) appendTo(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(b, hostCID)
	b = le.AppendUint64(b, guestCID)
	b = le.AppendUint32(b, h.src)
	b = le.AppendUint32(b, h.dst)
	b = le.AppendUint32(b, h.size)
	b = le.AppendUint16(b, typeStream)
	b = le.AppendUint16(b, h.op)
	b = le.AppendUint32(b, h.flags)
	b = le.AppendUint32(b, h.buffer)
	return le.AppendUint32(b, h.forwarded)
}
