// Package mptable writes the table by which a kernel without ACPI finds its
// processors and its I/O APIC (Intel MultiProcessor Specification 1.4). It owns
// nothing but the bytes.
package mptable

import (
	"encoding/binary"

	"ostia/internal/vm/acpi"
)

const (
	specification = 4  // 1.4
	lapicVersion  = 20 // as KVM's
	ioapicVersion = 17
	pins          = 24
)

// Table returns an image to be placed at base, which begins with the floating
// pointer structure. Interrupt n is pin n of the I/O APIC, edge-triggered and
// active high, as on an ISA bus.
func Table(base uint32, cpus int) []byte {
	var entries []byte
	count := 0
	add := func(b ...byte) {
		entries = append(entries, b...)
		count++
	}
	le := binary.LittleEndian
	for id := range cpus {
		const enabled, boot = 1, 2
		flags := byte(enabled)
		if id == 0 {
			flags |= boot
		}
		// Signature and features, which no kernel reads: CPUID has them.
		add(0, byte(id), lapicVersion, flags, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	const bus = 0
	add(1, bus, 'I', 'S', 'A', ' ', ' ', ' ')
	ioapic := byte(cpus) // ids are shared with the processors
	add(le.AppendUint32([]byte{2, ioapic, ioapicVersion, 1}, acpi.IOAPIC)...)
	for n := range byte(pins) {
		const edgeHigh = 1<<2 | 1
		add(3, 0, edgeHigh, 0, bus, n, ioapic, n)
	}
	const nmi, external, all = 1, 3, 0xff
	add(4, external, 0, 0, bus, 0, all, 0)
	add(4, nmi, 0, 0, bus, 0, all, 1)

	pointer := []byte("_MP_")
	pointer = le.AppendUint32(pointer, base+16)
	pointer = append(pointer, 1, specification, 0, 0, 0, 0, 0, 0)
	pointer[10] = checksum(pointer)

	t := []byte("PCMP")
	t = le.AppendUint16(t, uint16(44+len(entries)))
	t = append(t, specification, 0)
	t = append(t, "OSTIA   "+"OSTIAVM     "...)
	t = append(t, 0, 0, 0, 0, 0, 0) // no table of the maker's
	t = le.AppendUint16(t, uint16(count))
	t = le.AppendUint32(t, acpi.LAPIC)
	t = append(t, 0, 0, 0, 0) // nothing extended
	t = append(t, entries...)
	t[7] = checksum(t)
	return append(pointer, t...)
}

func checksum(b []byte) (s byte) {
	for _, c := range b {
		s -= c
	}
	return s
}
