package mptable

import (
	"encoding/binary"
	"testing"
)

// The table is as long as it says, sums up to zero and has all its entries.
func TestTable(t *testing.T) {
	const base = 0xf0000
	for _, cpus := range []int{1, 16} {
		b := Table(base, cpus)
		if string(b[:4]) != "_MP_" || binary.LittleEndian.Uint32(b[4:]) != base+16 || checksum(b[:16]) != 0 {
			t.Errorf("%d CPUs: pointer % x", cpus, b[:16])
		}
		table := b[16:]
		if string(table[:4]) != "PCMP" || int(binary.LittleEndian.Uint16(table[4:])) != len(table) || checksum(table) != 0 {
			t.Errorf("%d CPUs: table % x", cpus, table[:44])
		}
		count := map[byte]int{}
		total := 0
		for at := 44; at < len(table); total++ {
			kind := table[at]
			count[kind]++
			at += 8
			if kind == 0 {
				at += 12
			}
		}
		if want := (map[byte]int{0: cpus, 1: 1, 2: 1, 3: pins, 4: 2}); total != int(binary.LittleEndian.Uint16(table[34:])) {
			t.Errorf("%d CPUs: %d entries", cpus, total)
		} else {
			for kind, n := range want {
				if count[kind] != n {
					t.Errorf("%d CPUs: %d entries of kind %d, want %d", cpus, count[kind], kind, n)
				}
			}
		}
	}
}
