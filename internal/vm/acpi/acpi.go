// Package acpi writes the tables of a hardware-reduced machine: processors, one
// I/O APIC, virtio-mmio devices, a panic port, a port to power off and one to
// reset. It owns nothing but the bytes (ACPI specification 6.4).
package acpi

import "encoding/binary"

// Addresses and ports that the tables announce.
const (
	LAPIC      = 0xfee00000
	IOAPIC     = 0xfec00000
	SleepPort  = 0x600 // sleep control register; the status register is the next port
	ResetPort  = 0x604
	ResetValue = 0x42
	SleepType  = 5 // SLP_TYP of soft-off
)

// Device is a virtio-mmio register window and its interrupt.
type Device struct{ Addr, Size, IRQ uint32 }

// Machine is what the tables describe.
type Machine struct {
	CPUs   int
	Virtio []Device
	Panic  uint16 // port of the pvpanic device, 0 for none
}

// Tables returns an image to be placed at base, which begins with the RSDP.
func Tables(base uint64, m Machine) []byte {
	b := &builder{base: base, out: make([]byte, 64)} // the RSDP is filled in last
	fadt := b.add(fadt(b.add(table("DSDT", 2, dsdt(m)))))
	madt := b.add(table("APIC", 5, madt(m.CPUs)))
	le := binary.LittleEndian
	xsdt := b.add(table("XSDT", 1, le.AppendUint64(le.AppendUint64(nil, fadt), madt)))

	r := b.out[:36]
	copy(r, "RSD PTR ")
	copy(r[9:], oem)
	r[15] = 2
	le.PutUint32(r[20:], 36)
	le.PutUint64(r[24:], xsdt)
	r[8] = checksum(r[:20])
	r[32] = checksum(r)
	return b.out
}

type builder struct {
	base uint64
	out  []byte
}

func (b *builder) add(t []byte) uint64 {
	for len(b.out)%16 != 0 {
		b.out = append(b.out, 0)
	}
	at := b.base + uint64(len(b.out))
	b.out = append(b.out, t...)
	return at
}

const oem = "OSTIA "

func table(signature string, revision byte, body []byte) []byte {
	t := make([]byte, 36, 36+len(body))
	copy(t, signature)
	t[8] = revision
	copy(t[10:], oem)
	copy(t[16:], "OSTIAVM ")
	t[24] = 1
	copy(t[28:], "GO  ")
	t[32] = 1
	t = append(t, body...)
	binary.LittleEndian.PutUint32(t[4:], uint32(len(t)))
	t[9] = checksum(t)
	return t
}

func checksum(b []byte) (s byte) {
	for _, c := range b {
		s -= c
	}
	return s
}

// fadt is revision 6, 276 bytes; offsets are from the table's start.
func fadt(dsdt uint64) []byte {
	t := make([]byte, 276-36)
	at := func(off int) []byte { return t[off-36:] }
	le := binary.LittleEndian
	// IAPC_BOOT_ARCH: no VGA, no ASPM, no CMOS clock. The last keeps Linux from
	// polling ports 0x70 and 0x71, which would be most exits of a boot.
	le.PutUint16(at(109), 1<<2|1<<4|1<<5)
	// Flags: power and sleep button are no fixed hardware, reset register,
	// hardware-reduced: Linux then looks for no timer and no SCI.
	le.PutUint32(at(112), 1<<4|1<<5|1<<10|1<<20)
	ioByte(at(116), ResetPort)
	at(128)[0] = ResetValue
	at(131)[0] = 4 // minor version of 6.4
	le.PutUint64(at(140), dsdt)
	ioByte(at(244), SleepPort)
	ioByte(at(256), SleepPort+1)
	copy(at(268), "KVMKVMKV")
	return table("FACP", 6, t)
}

// ioByte is a generic address structure: one byte in I/O space.
func ioByte(b []byte, port uint64) {
	b[0], b[1], b[3] = 1, 8, 1
	binary.LittleEndian.PutUint64(b[4:], port)
}

func madt(cpus int) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, LAPIC)
	b = le.AppendUint32(b, 0) // no 8259
	for i := range cpus {
		b = append(b, 0, 8, byte(i), byte(i))
		b = le.AppendUint32(b, 1) // enabled
	}
	b = append(b, 1, 12, 0, 0)
	b = le.AppendUint32(b, IOAPIC)
	return le.AppendUint32(b, 0)
}
