package entrypoint

import (
	"encoding/binary"
	"strconv"
)

// The e_machine values that have a name here.
const (
	emSPARC     = 2
	em386       = 3
	em68K       = 4
	emMIPS      = 8
	emPPC       = 20
	emPPC64     = 21
	emS390      = 22
	emARM       = 40
	emSuperH    = 42
	emSPARCV9   = 43
	emIA64      = 50
	emX8664     = 62
	emAARCH64   = 183
	emRISCV     = 243
	emLoongArch = 258
)

// elfHeader is what the kernel reads of an ELF header (elf(5)).
type elfHeader struct {
	wide      bool // ELFCLASS64
	order     binary.ByteOrder
	kind      uint16 // e_type
	machine   uint16
	phoff     uint64
	phentsize int
	phnum     int
}

// parseELF reads the header at the beginning of a file. ok is false if it is
// not an ELF file or ends within its header.
func parseELF(b []byte) (h elfHeader, ok bool) {
	if !isELF(b) || len(b) < 52 {
		return h, false
	}
	// The kernel reads the header in its own layout and looks at neither class
	// nor byte order. Only those of another machine's file count.
	h.wide, h.order = b[4] != 1, binary.LittleEndian
	if b[5] == 2 {
		h.order = binary.BigEndian
	}
	h.kind, h.machine = h.order.Uint16(b[16:]), h.order.Uint16(b[18:])
	if !h.wide {
		h.phoff = uint64(h.order.Uint32(b[28:]))
		h.phentsize, h.phnum = int(h.order.Uint16(b[42:])), int(h.order.Uint16(b[44:]))
		return h, true
	}
	if len(b) < 64 {
		return h, false
	}
	h.phoff = h.order.Uint64(b[32:])
	h.phentsize, h.phnum = int(h.order.Uint16(b[54:])), int(h.order.Uint16(b[56:]))
	return h, true
}

func isELF(b []byte) bool { return len(b) >= 4 && string(b[:4]) == "\x7fELF" }

// segment is a program header.
type segment struct {
	kind         uint32
	offset, size uint64 // p_offset, p_filesz
}

const (
	ptLoad   = 1
	ptInterp = 3
)

// segmentSize is the one e_phentsize that the kernel accepts.
func (h *elfHeader) segmentSize() int {
	if h.wide {
		return 56
	}
	return 32
}

// segment is the program header in b.
func (h *elfHeader) segment(b []byte) segment {
	if h.wide {
		return segment{h.order.Uint32(b), h.order.Uint64(b[8:]), h.order.Uint64(b[32:])}
	}
	return segment{h.order.Uint32(b), uint64(h.order.Uint32(b[4:])), uint64(h.order.Uint32(b[16:]))}
}

// architecture is the GOARCH-like name of the machine that the file is for.
func (h *elfHeader) architecture() string {
	little := h.order == binary.LittleEndian
	pick := func(wide, narrow string) string {
		if h.wide {
			return wide
		}
		return narrow
	}
	endian := func(name string) string {
		if little {
			return name + "le"
		}
		return name
	}
	switch h.machine {
	case em386:
		return "386"
	case emX8664:
		return pick("amd64", "amd64 (x32)")
	case emAARCH64:
		return pick("arm64", "arm64 (ilp32)")
	case emARM:
		return "arm"
	case emRISCV:
		return pick("riscv64", "riscv32")
	case emS390:
		return pick("s390x", "s390")
	case emPPC64:
		return endian("ppc64")
	case emPPC:
		return endian("ppc")
	case emMIPS:
		return endian(pick("mips64", "mips"))
	case emLoongArch:
		return pick("loong64", "loong32")
	case emSPARC:
		return "sparc"
	case emSPARCV9:
		return "sparc64"
	case emIA64:
		return "ia64"
	case em68K:
		return "m68k"
	case emSuperH:
		return "sh"
	}
	return "machine " + strconv.Itoa(int(h.machine))
}
