package entrypoints

import (
	"encoding/binary"
	"runtime"
)

// Machines are the ones that a program can be made for.
const (
	AMD64   = 62
	ARM64   = 183
	RISCV64 = 243
	S390X   = 22
	I386    = 3
)

// Native is this machine.
func Native() uint16 {
	switch runtime.GOARCH {
	case "amd64":
		return AMD64
	case "arm64":
		return ARM64
	}
	return RISCV64
}

// Program is a static executable that writes text to its standard output and
// exits with 0. For s390x it is a header only, big-endian as it should be.
func Program(machine uint16, text string) []byte { return program(machine, text, "") }

// Dynamic is a program that names loader in PT_INTERP. The kernel then starts
// the loader in its place, so it has no code of its own.
func Dynamic(machine uint16, loader string) []byte { return program(machine, "", loader+"\x00") }

func program(machine uint16, text, loader string) []byte {
	base := uint64(0x400000)
	if loader != "" {
		base = 0x800000 // out of the way of its loader
	}
	wide := machine != I386
	var order binary.ByteOrder = binary.LittleEndian
	if machine == S390X {
		order = binary.BigEndian
	}
	header, phdr, phnum := 64, 56, 1
	if !wide {
		header, phdr = 52, 32
	}
	if loader != "" {
		phnum = 2
	}
	start := header + phnum*phdr
	code := machineCode(machine, base+uint64(start), len(text))
	body := append(append(code, text...), loader...)
	b := make([]byte, start, start+len(body))
	b = append(b, body...)

	copy(b, "\x7fELF\x02\x01\x01")
	if !wide {
		b[4] = 1
	}
	if machine == S390X {
		b[5] = 2
	}
	order.PutUint16(b[16:], 2)
	order.PutUint16(b[18:], machine)
	order.PutUint32(b[20:], 1)
	word := func(at int, v uint64) {
		if wide {
			order.PutUint64(b[at:], v)
		} else {
			order.PutUint32(b[at:], uint32(v))
		}
	}
	n := 4
	if wide {
		n = 8
	}
	word(24, base+uint64(start))
	word(24+n, uint64(header))
	sizes := 24 + 3*n + 4
	if machine == RISCV64 {
		order.PutUint32(b[24+3*n:], 4) // double float ABI
	}
	order.PutUint16(b[sizes:], uint16(header))
	order.PutUint16(b[sizes+2:], uint16(phdr))
	order.PutUint16(b[sizes+4:], uint16(phnum))
	// Readable, executable, and writable: a kernel before Linux 6.7 clears the
	// rest of a loader's last page and kills the process if it cannot.
	const access = 7
	segment := func(i int, kind uint32, offset, size int) {
		at := header + i*phdr
		order.PutUint32(b[at:], kind)
		addr := base + uint64(offset)
		if wide {
			order.PutUint32(b[at+4:], access)
			for j, v := range []uint64{uint64(offset), addr, addr, uint64(size), uint64(size), 4096} {
				order.PutUint64(b[at+8+8*j:], v)
			}
			return
		}
		for j, v := range []uint32{uint32(offset), uint32(addr), uint32(addr), uint32(size), uint32(size), access, 4096} {
			order.PutUint32(b[at+4+4*j:], v)
		}
	}
	if loader != "" {
		segment(0, 3, len(b)-len(loader), len(loader))
	}
	segment(phnum-1, 1, 0, len(b))
	return b
}

// machineCode writes the n bytes that follow it to descriptor 1 and exits.
func machineCode(machine uint16, at uint64, n int) []byte {
	le := binary.LittleEndian
	switch machine {
	case AMD64:
		b := []byte{
			0xb8, 1, 0, 0, 0, // mov eax, 1 (write)
			0xbf, 1, 0, 0, 0, // mov edi, 1
			0xbe, 0, 0, 0, 0, // mov esi, text
			0xba, 0, 0, 0, 0, // mov edx, n
			0x0f, 0x05, // syscall
			0xb8, 60, 0, 0, 0, // mov eax, 60 (exit)
			0x31, 0xff, // xor edi, edi
			0x0f, 0x05,
		}
		le.PutUint32(b[11:], uint32(at)+uint32(len(b)))
		le.PutUint32(b[16:], uint32(n))
		return b
	case I386:
		b := []byte{
			0xb8, 4, 0, 0, 0, // mov eax, 4 (write)
			0xbb, 1, 0, 0, 0, // mov ebx, 1
			0xb9, 0, 0, 0, 0, // mov ecx, text
			0xba, 0, 0, 0, 0, // mov edx, n
			0xcd, 0x80, // int 0x80
			0xb8, 1, 0, 0, 0, // mov eax, 1 (exit)
			0x31, 0xdb, // xor ebx, ebx
			0xcd, 0x80,
		}
		le.PutUint32(b[11:], uint32(at)+uint32(len(b)))
		le.PutUint32(b[16:], uint32(n))
		return b
	case ARM64:
		return words(
			0xd2800808,                       // mov x8, 64 (write)
			0xd2800020,                       // mov x0, 1
			0x100000c1,                       // adr x1, text
			0xd2800002|uint32(n)<<5&0x1fffe0, // mov x2, n
			0xd4000001,                       // svc 0
			0xd2800ba8,                       // mov x8, 93 (exit)
			0xd2800000,                       // mov x0, 0
			0xd4000001,
		)
	case RISCV64:
		return words(
			0x04000893,               // li a7, 64 (write)
			0x00100513,               // li a0, 1
			0x00000597,               // auipc a1, 0
			0x01c58593,               // addi a1, a1, 28
			0x00000613|uint32(n)<<20, // li a2, n
			0x00000073,               // ecall
			0x05d00893,               // li a7, 93 (exit)
			0x00000513,               // li a0, 0
			0x00000073,
		)
	}
	return nil
}

func words(w ...uint32) []byte {
	var b []byte
	for _, v := range w {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}
