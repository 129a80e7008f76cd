package image

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"ostia/internal/vm/kernel"
)

// libkrunfw (https://github.com/containers/libkrunfw) is a shared object that
// holds, under a symbol, what a kernel is in memory at its physical address, which
// is the default of CONFIG_PHYSICAL_START.
const (
	bundleSymbol = "KERNEL_BUNDLE"
	bundleAddr   = 0x1000000
	page         = 0x1000
)

// errLibrary is a shared object that is no libkrunfw.
var errLibrary = errors.New("a shared object without the kernel of libkrunfw (" + bundleSymbol + ")")

// bundle is a shared object's kernel, in memory from bundleAddr on, and its size.
func bundle(e *elf.File) (io.ReaderAt, int64, error) {
	symbols, err := e.DynamicSymbols()
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errLibrary, err)
	}
	for _, s := range symbols {
		if s.Name != bundleSymbol || int(s.Section) >= len(e.Sections) {
			continue
		}
		section := e.Sections[s.Section]
		size := s.Size &^ (page - 1) // a C string has a zero more
		if section.Type == elf.SHT_NOBITS || s.Value < section.Addr || s.Value-section.Addr > section.Size ||
			size > section.Size-(s.Value-section.Addr) || size == 0 || size > kernel.MaxSize {
			return nil, 0, errLibrary
		}
		return io.NewSectionReader(section, int64(s.Value-section.Addr), int64(size)), int64(size), nil
	}
	return nil, 0, errLibrary
}

// unpackBundle writes a shared object's kernel as an ELF file with one segment,
// and the note of its PVH entry point, which lies in it somewhere.
func unpackBundle(w io.Writer, library []byte) error {
	e, err := elf.NewFile(bytes.NewReader(library))
	if err != nil {
		return err
	}
	r, size, err := bundle(e)
	if err != nil {
		return err
	}
	image := make([]byte, size)
	if _, err := r.ReadAt(image, 0); err != nil {
		return err
	}
	note := pvhNote(image)
	if note == nil {
		return errors.New("its kernel has no PVH entry point (CONFIG_PVH)")
	}
	const headers = 64 + 2*56
	le := binary.LittleEndian
	head := make([]byte, page)
	copy(head, "\x7fELF\x02\x01\x01")
	le.PutUint16(head[16:], uint16(elf.ET_EXEC))
	le.PutUint16(head[18:], uint16(elf.EM_X86_64))
	le.PutUint32(head[20:], 1)
	le.PutUint64(head[32:], 64) // program headers
	le.PutUint16(head[52:], 64)
	le.PutUint16(head[54:], 56)
	le.PutUint16(head[56:], 2)
	for i, p := range []elf.Prog64{
		{Type: uint32(elf.PT_LOAD), Off: page, Paddr: bundleAddr, Filesz: uint64(size), Memsz: uint64(size)},
		{Type: uint32(elf.PT_NOTE), Off: headers, Filesz: uint64(len(note)), Memsz: uint64(len(note))},
	} {
		if _, err := binary.Encode(head[64+56*i:], le, p); err != nil {
			return err
		}
	}
	copy(head[headers:], note)
	if _, err := w.Write(head); err != nil {
		return err
	}
	_, err = w.Write(image)
	return err
}

// pvhNote finds the note XEN_ELFNOTE_PHYS32_ENTRY in a kernel's memory, with an
// entry point in it.
func pvhNote(image []byte) []byte {
	const name = "\x12\x00\x00\x00Xen\x00" // and before it, the type
	le := binary.LittleEndian
	for at := 0; ; {
		i := bytes.Index(image[at:], []byte(name))
		if i < 0 {
			return nil
		}
		i += at
		at = i + len(name)
		if i < 8 || le.Uint32(image[i-8:]) != 4 {
			continue
		}
		size := le.Uint32(image[i-4:])
		if (size == 4 || size == 8) && at+int(size) <= len(image) {
			if entry := le.Uint32(image[at:]); entry >= bundleAddr && uint64(entry) < bundleAddr+uint64(len(image)) {
				return image[i-8 : at+int(size)]
			}
		}
	}
}
