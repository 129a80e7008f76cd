package kernel

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
)

// libkrunfw (https://github.com/containers/libkrunfw) is a shared object that
// holds, under a symbol, what a kernel is in memory at its physical address, which
// is the default of CONFIG_PHYSICAL_START.
const (
	BundleSymbol = "KERNEL_BUNDLE"
	BundleAddr   = 0x1000000
	page         = 0x1000
)

// ErrLibrary is a shared object that is no libkrunfw.
var ErrLibrary = errors.New("a shared object without the kernel of libkrunfw (" + BundleSymbol + ")")

// Bundle is a shared object's kernel, in memory from BundleAddr on, and its size.
func Bundle(e *elf.File) (io.ReaderAt, int64, error) {
	symbols, err := e.DynamicSymbols()
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrLibrary, err)
	}
	for _, s := range symbols {
		if s.Name != BundleSymbol || int(s.Section) >= len(e.Sections) {
			continue
		}
		section := e.Sections[s.Section]
		size := s.Size &^ (page - 1) // a C string has a zero more
		if section.Type == elf.SHT_NOBITS || s.Value < section.Addr || s.Value-section.Addr > section.Size ||
			size > section.Size-(s.Value-section.Addr) || size == 0 || size > MaxSize {
			return nil, 0, ErrLibrary
		}
		return io.NewSectionReader(section, int64(s.Value-section.Addr), int64(size)), int64(size), nil
	}
	return nil, 0, ErrLibrary
}
