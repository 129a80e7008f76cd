// Package seccomp compiles linux.seccomp into the classic BPF program that the
// kernel runs before every system call. It does no I/O: the same profile gives
// the same program on any host. What a profile means is what it means to runc
// with libseccomp; where this package differs, a comment says so.
package seccomp

import (
	"strconv"
	"unsafe"

	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// Filter is a compiled profile.
type Filter struct {
	Program []byte // of struct sock_filter, for a little-endian kernel; empty when the profile asks for no filter
	Flags   uint32 // SECCOMP_FILTER_FLAG_* for seccomp(2), without NEW_LISTENER
	Notify  bool   // the filter needs a listener

	audit uint32 // AUDIT_ARCH_* of native calls
}

// maxInstructions is the kernel's BPF_MAXINSNS.
const maxInstructions = 4096

// Compile compiles a profile for a kernel whose own architecture is native, a
// GOARCH: amd64, arm64 or riscv64. A profile that cannot be honoured gives a
// *spec.Error.
func Compile(s *spec.Seccomp, native string) (*Filter, error) {
	if s == nil || s.DefaultAction == "" && len(s.Syscalls) == 0 {
		return &Filter{}, nil // as runc
	}
	kernel := abis(native)
	if kernel == nil {
		return nil, refuse("architectures", "no system call numbers for a kernel of "+native)
	}
	p, err := read(s)
	if err != nil {
		return nil, err
	}
	var a assembler
	if err := a.filter(p, kernel); err != nil {
		return nil, err
	}
	if len(a.code) > maxInstructions {
		return nil, tooLong(len(a.code))
	}
	return &Filter{Program: a.program(), Flags: p.flags, Notify: p.notify, audit: kernel[0].audit}, nil
}

func tooLong(instructions int) error {
	return refuse("syscalls", "the filter needs "+strconv.Itoa(instructions)+" instructions or more and the kernel takes "+strconv.Itoa(maxInstructions)+": merge rules or list fewer architectures")
}

// Allows tells whether the filter lets the native system call of this number
// through whatever its arguments are.
func (f *Filter) Allows(number int) bool {
	if len(f.Program) == 0 {
		return true
	}
	code := unsafe.Slice((*unix.SockFilter)(unsafe.Pointer(unsafe.SliceData(f.Program))), len(f.Program)/instructionSize)
	var loaded uint32
	for pc := 0; ; pc++ {
		in := &code[pc]
		jump := func(holds bool) {
			if holds {
				pc += int(in.Jt)
			} else {
				pc += int(in.Jf)
			}
		}
		switch in.Code {
		case opLoad:
			switch in.K {
			case offsetNumber:
				loaded = uint32(number)
			case offsetArch:
				loaded = f.audit
			default:
				return false // it looks at arguments
			}
		case opJump:
			pc += int(in.K)
		case opJumpEqual:
			jump(loaded == in.K)
		case opJumpGreater:
			jump(loaded > in.K)
		case opJumpGreaterEqual:
			jump(loaded >= in.K)
		case opReturn:
			return in.K == unix.SECCOMP_RET_ALLOW || in.K == unix.SECCOMP_RET_LOG
		default:
			return false
		}
	}
}
