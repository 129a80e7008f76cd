package image

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"ostia/internal/vm/kernel"
)

// A libkrunfw's kernel becomes an ELF file of one segment at its address, with
// the note of its entry point; a shared object without one is refused.
func TestLibrary(t *testing.T) {
	image := make([]byte, 3*page)
	note := []byte("\x04\x00\x00\x00\x08\x00\x00\x00\x12\x00\x00\x00Xen\x00\x40\x00\x00\x01\x00\x00\x00\x00")
	copy(image[8:], "\x12\x00\x00\x00Xen\x00") // not behind the size of a name
	copy(image[page+20:], note)
	path := filepath.Join(t.TempDir(), "libkrunfw.so.5")
	if err := os.WriteFile(path, sharedObject(t, bundleSymbol, append(image, 0)), 0o644); err != nil {
		t.Fatal(err)
	}
	k, err := kernel.Find(path)
	if err != nil || !k.Bare {
		t.Fatalf("%+v, %v", k, err)
	}
	var out bytes.Buffer
	if packed, err := unpackKernel(&out, k); !packed || err != nil {
		t.Fatal(packed, err)
	}
	e, err := elf.NewFile(bytes.NewReader(out.Bytes()))
	if err != nil || len(e.Progs) != 2 || e.Machine != elf.EM_X86_64 {
		t.Fatalf("%+v, %v", e, err)
	}
	for i, want := range [][]byte{image, note} {
		got := make([]byte, e.Progs[i].Filesz)
		if _, err := e.Progs[i].ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
			t.Errorf("segment %d: %d bytes, %v", i, len(got), err)
		}
	}
	if p := e.Progs[0]; p.Type != elf.PT_LOAD || p.Paddr != bundleAddr {
		t.Errorf("%+v", p)
	}

	if err := os.WriteFile(path, sharedObject(t, "another", image), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := unpackKernel(&out, k); !errors.Is(err, errLibrary) {
		t.Errorf("another symbol: %v", err)
	}
	if err := os.WriteFile(path, sharedObject(t, bundleSymbol, make([]byte, page)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := unpackKernel(&out, k); err == nil {
		t.Error("a kernel without an entry point is unpacked")
	}
}

// sharedObject is one with a symbol of data.
func sharedObject(t *testing.T, symbol string, data []byte) []byte {
	t.Helper()
	const dataAddr = 0x10000
	names := "\x00" + symbol + "\x00"
	var symbols, b bytes.Buffer
	write := func(w *bytes.Buffer, v any) {
		if err := binary.Write(w, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	write(&symbols, elf.Sym64{})
	write(&symbols, elf.Sym64{Name: 1, Info: byte(elf.STB_GLOBAL)<<4 | byte(elf.STT_OBJECT), Shndx: 3, Value: dataAddr, Size: uint64(len(data))})
	sections := []struct {
		elf.Section64
		content []byte
	}{
		{},
		{elf.Section64{Type: uint32(elf.SHT_DYNSYM), Link: 2, Entsize: 24}, symbols.Bytes()},
		{elf.Section64{Type: uint32(elf.SHT_STRTAB)}, []byte(names)},
		{elf.Section64{Type: uint32(elf.SHT_PROGBITS), Addr: dataAddr}, data},
	}
	head := elf.Header64{Type: uint16(elf.ET_DYN), Machine: uint16(elf.EM_X86_64), Version: 1, Shoff: 64, Ehsize: 64, Phentsize: 56, Shentsize: 64,
		Shnum: uint16(len(sections)), Shstrndx: 2}
	copy(head.Ident[:], "\x7fELF\x02\x01\x01")
	write(&b, head)
	at := uint64(64 + 64*len(sections))
	for _, s := range sections {
		s.Off, s.Size = at, uint64(len(s.content))
		write(&b, s.Section64)
		at += s.Size
	}
	for _, s := range sections {
		b.Write(s.content)
	}
	return b.Bytes()
}
