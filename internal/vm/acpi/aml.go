package acpi

import (
	"encoding/binary"
	"fmt"
)

// dsdt is the byte code of:
//
//	Name (\_S5, Package () {5, 0, 0, 0})
//	Scope (\_SB) {
//	  Device (VRnn) { _HID "LNRO0005", _UID nn, _CCA 1,
//	    _CRS { Memory32Fixed (ReadWrite, addr, size)
//	           Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { irq } } }
//	  Device (PVPN) { _HID "QEMU0001", _CRS { IO (Decode16, port, port, 1, 1) } }
//	}
func dsdt(m Machine) []byte {
	off := name("_S5_", pkg(integer(SleepType), integer(0), integer(0), integer(0)))
	var devices []byte
	for i, d := range m.Virtio {
		devices = append(devices, device(fmt.Sprintf("VR%02X", i),
			name("_HID", str("LNRO0005")),
			name("_UID", integer(uint32(i))),
			name("_CCA", integer(1)), // DMA sees the caches
			name("_CRS", resources(memory32(d.Addr, d.Size), interrupt(d.IRQ))))...)
	}
	if m.Panic != 0 {
		devices = append(devices, device("PVPN",
			name("_HID", str("QEMU0001")),
			name("_CRS", resources(ioPort(m.Panic))))...)
	}
	return append(off, block([]byte{0x10}, append([]byte(`\_SB_`), devices...))...)
}

func device(n string, body ...[]byte) []byte {
	return block([]byte{0x5b, 0x82}, append([]byte(n), concat(body)...))
}

func name(n string, value []byte) []byte { return append(append([]byte{0x08}, n...), value...) }

func pkg(v ...[]byte) []byte {
	return block([]byte{0x12}, append([]byte{byte(len(v))}, concat(v)...))
}

func str(s string) []byte { return append(append([]byte{0x0d}, s...), 0) }

func integer(v uint32) []byte {
	switch {
	case v < 2:
		return []byte{byte(v)} // ZeroOp, OneOp
	case v < 0x100:
		return []byte{0x0a, byte(v)}
	}
	return binary.LittleEndian.AppendUint32([]byte{0x0c}, v)
}

// block prefixes a package length that counts itself (20.2.4).
func block(op, body []byte) []byte {
	n := len(body)
	switch {
	case n+1 < 0x40:
		op = append(op, byte(n+1))
	case n+2 < 0x1000:
		n += 2
		op = append(op, 0x40|byte(n&0xf), byte(n>>4))
	default:
		n += 3
		op = append(op, 0x80|byte(n&0xf), byte(n>>4), byte(n>>12))
	}
	return append(op, body...)
}

// resources is a buffer of descriptors closed by an end tag.
func resources(d ...[]byte) []byte {
	b := append(concat(d), 0x79, 0)
	return block([]byte{0x11}, append(integer(uint32(len(b))), b...))
}

func memory32(addr, size uint32) []byte {
	b := binary.LittleEndian.AppendUint32([]byte{0x86, 9, 0, 1}, addr)
	return binary.LittleEndian.AppendUint32(b, size)
}

// interrupt: consumer, edge, active high, exclusive.
func interrupt(irq uint32) []byte {
	return binary.LittleEndian.AppendUint32([]byte{0x89, 6, 0, 0x03, 1}, irq)
}

func ioPort(port uint16) []byte {
	return []byte{0x47, 1, byte(port), byte(port >> 8), byte(port), byte(port >> 8), 1, 1}
}

func concat(p [][]byte) (b []byte) {
	for _, x := range p {
		b = append(b, x...)
	}
	return b
}
