package stage

import (
	"encoding/binary"
	"unsafe"
)

// The image's layout in memory. Everything lies below 2 GiB, so that an
// address fits an op's 32-bit argument and is known when the image is made.
const (
	codeBase = 0x200000 // ELF header and interpreter, read and execute
	dataBase = 0x400000 // ops and data, read and write
	opsOff   = 512      // of the ops in the file and behind dataBase
	opSize   = 36
	pageSize = 4096
	headers  = 64 + 3*56 // ELF header, three program headers
)

// endMark follows the interpreter's code in this binary's text.
const endMark = 0x21444e4547415453 // "STAGEND!"

// interpreterAddress is where this binary's text holds the interpreter. It is
// never called from here: it only runs inside an image.
func interpreterAddress() *byte

// interpreter is the interpreter's machine code.
func interpreter() []byte {
	start := unsafe.Pointer(interpreterAddress())
	for n := 0; n < opsOff-headers; n++ {
		at := (*[8]byte)(unsafe.Add(start, n))
		if at[0] == 'S' && binary.LittleEndian.Uint64(at[:]) == endMark {
			return unsafe.Slice((*byte)(start), n)
		}
	}
	panic("stage: the interpreter has no end mark")
}

// Image is the ELF file: a position-dependent static executable with a
// non-executable stack.
func (p *Program) Image() []byte {
	dataOff := (opsOff + len(p.ops)*opSize + 7) &^ 7
	size := dataOff + len(p.data)
	bssOff := (size + 7) &^ 7
	b := make([]byte, size)
	le := binary.LittleEndian

	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], 2) // ET_EXEC
	le.PutUint16(b[18:], machine)
	le.PutUint32(b[20:], 1)
	le.PutUint64(b[24:], codeBase+headers) // entry
	le.PutUint64(b[32:], 64)               // program headers
	le.PutUint32(b[48:], machineFlags)
	le.PutUint16(b[52:], 64)
	le.PutUint16(b[54:], 56)
	le.PutUint16(b[56:], 3)
	header := b[64:]
	segment := func(typ, flags uint32, off, addr, filesz, memsz uint64) {
		le.PutUint32(header, typ)
		le.PutUint32(header[4:], flags)
		le.PutUint64(header[8:], off)
		le.PutUint64(header[16:], addr)
		le.PutUint64(header[24:], addr)
		le.PutUint64(header[32:], filesz)
		le.PutUint64(header[40:], memsz)
		le.PutUint64(header[48:], pageSize)
		header = header[56:]
	}
	const ptLoad, ptGNUStack = 1, 0x6474e551
	const x, w, r = 1, 2, 4
	segment(ptLoad, r|x, 0, codeBase, opsOff, opsOff)
	segment(ptLoad, r|w, opsOff, dataBase+opsOff, uint64(size-opsOff), uint64(bssOff-opsOff)+uint64(p.bss)+uint64(16*len(p.trace)))
	segment(ptGNUStack, r|w, 0, 0, 0, 0)
	copy(b[headers:opsOff], interpreter())

	addr := func(v int32) uint32 {
		switch {
		case v < 0:
			return uint32(dataBase + opsOff + recordSize + v)
		case v&traceBit != 0:
			return uint32(dataBase + bssOff + int(p.bss) + int(v&^traceBit))
		case v&bssBit != 0:
			return uint32(dataBase + bssOff + int(v&^bssBit))
		}
		return uint32(dataBase + dataOff + int(v))
	}
	for i := range p.ops {
		o, w := &p.ops[i], b[opsOff+i*opSize:]
		le.PutUint16(w, o.nr)
		w[3] = o.again
		le.PutUint16(w[4:], o.ignore)
		le.PutUint16(w[6:], uint16(p.labels[o.onerr]))
		if o.dst != 0 {
			le.PutUint32(w[8:], addr(int32(o.dst)))
		}
		for j, value := range o.values {
			v := uint32(value)
			if o.kinds[j] != immediate {
				v = addr(value)
			}
			if o.kinds[j] == load {
				w[2] |= 1 << j
			}
			le.PutUint32(w[12+4*j:], v)
		}
	}
	copy(b[dataOff:], p.data)
	for _, r := range p.relocs {
		le.PutUint64(b[dataOff+int(r.at):], uint64(addr(r.to)))
	}
	return b
}

// Failed is the note of the op that a failure record names by its address.
func (p *Program) Failed(address uint32) (Note, bool) {
	i := opAt(address)
	if i <= 0 || i >= len(p.ops) {
		return Note{Index: -1}, false
	}
	return p.noteOf(i), true
}

// opAt is the number of the op at an address.
func opAt(address uint32) int { return (int(address) - dataBase - opsOff) / opSize }
