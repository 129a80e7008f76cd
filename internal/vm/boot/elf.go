package boot

import (
	"encoding/binary"
	"errors"
	"io"
)

// segment is what a program header of an ELF file says (elf(5)): what of the
// file belongs where in physical memory.
type segment struct {
	kind                         uint32
	offset, addr, fileSize, size uint64
}

// The kinds of segments that matter here.
const (
	loaded = 1 // PT_LOAD
	notes  = 4 // PT_NOTE
)

// segments reads the program headers of a kernel for amd64. debug/elf would do,
// and bring decompressors and DWARF into every start of this program, the guest's
// init included.
func segments(f io.ReaderAt) ([]segment, error) {
	const headerSize = 56
	var head [64]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if string(head[:6]) != "\x7fELF\x02\x01" || le.Uint16(head[18:]) != 62 { // 64 bits, little-endian, EM_X86_64
		return nil, errors.New("is no ELF file for x86-64")
	}
	table := make([]byte, headerSize*int(le.Uint16(head[56:])))
	if len(table) > 0 && le.Uint16(head[54:]) != headerSize {
		return nil, errors.New("its program headers have another size than 56 bytes")
	}
	if _, err := f.ReadAt(table, int64(le.Uint64(head[32:]))); err != nil {
		return nil, err
	}
	var all []segment
	for ; len(table) > 0; table = table[headerSize:] {
		all = append(all, segment{
			kind:     le.Uint32(table),
			offset:   le.Uint64(table[8:]),
			addr:     le.Uint64(table[24:]),
			fileSize: le.Uint64(table[32:]),
			size:     le.Uint64(table[40:]),
		})
	}
	return all, nil
}
