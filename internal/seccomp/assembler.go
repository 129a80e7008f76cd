package seccomp

import (
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	opLoad             = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	opAnd              = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
	opJump             = unix.BPF_JMP | unix.BPF_JA
	opJumpEqual        = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	opJumpGreater      = unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K
	opJumpGreaterEqual = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
	opReturn           = unix.BPF_RET | unix.BPF_K

	// Of struct seccomp_data.
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16

	instructionSize = unix.SizeofSockFilter
	farthest        = 255 // that a conditional jump reaches
)

// assembler makes a program from its end to its beginning, because jumps only go
// forward: every target is known when the jump to it is made.
type assembler struct {
	code    []unix.SockFilter // the last instruction first
	returns []label           // the nearest return of each value
}

// label is the index in code of an instruction.
type label int

func (a *assembler) emit(code uint16, k uint32) label {
	a.code = append(a.code, unix.SockFilter{Code: code, K: k})
	return label(len(a.code) - 1)
}

// load puts a word of seccomp_data into the accumulator of the code that was
// emitted last.
func (a *assembler) load(offset uint32) label { return a.emit(opLoad, offset) }

// ret leads to a return of the value.
func (a *assembler) ret(value uint32) label {
	for _, l := range a.returns {
		if a.code[l].K == value {
			return l
		}
	}
	l := a.emit(opReturn, value)
	a.returns = append(a.returns, l)
	return l
}

// jump tests the accumulator. When both ways lead to one place, that place is
// the answer.
func (a *assembler) jump(code uint16, k uint32, yes, no label) label {
	if yes == no {
		return yes
	}
	yes = a.near(yes, 1)
	no = a.near(no, 0)
	here := label(len(a.code))
	a.code = append(a.code, unix.SockFilter{Code: code, Jt: uint8(here - yes - 1), Jf: uint8(here - no - 1), K: k})
	return here
}

// near returns a place that leads to the label and is in reach of a conditional
// jump emitted after so many others: a copy of a return, or a jump.
func (a *assembler) near(l label, others int) label {
	here := label(len(a.code))
	if int(here-l)-1+others <= farthest {
		return l
	}
	if a.code[l].Code != opReturn {
		return a.emit(opJump, uint32(here-l-1))
	}
	if i := slices.IndexFunc(a.returns, func(r label) bool { return a.code[r].K == a.code[l].K }); int(here-a.returns[i])-1+others <= farthest {
		return a.returns[i]
	} else {
		a.returns[i] = a.emit(opReturn, a.code[l].K)
		return a.returns[i]
	}
}

// program is the code as the kernel takes it.
func (a *assembler) program() []byte {
	slices.Reverse(a.code)
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(a.code))), len(a.code)*instructionSize)
}
