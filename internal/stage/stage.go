// Package stage turns a list of system calls into a static ELF image of a few
// kilobytes that performs them: an interpreter of some two hundred bytes, the
// ops, and their data. The image has no libc, no heap, no stack and one
// thread. Package stage knows nothing of containers and does no I/O.
package stage

import (
	"encoding/binary"
	"strconv"

	"golang.org/x/sys/unix"
)

// Assert is the number of the one op that is not a system call: it requires
// (a0 & a1) == a2, failing with errno a3 otherwise, and stores a0 & a1 as its
// result. With Else it is a conditional jump.
const Assert = 0xffff

type argKind uint8

const (
	immediate argKind = iota
	address           // of something in the data area
	load              // the 32-bit word there, sign-extended
)

// Arg is an argument of an op.
type Arg struct {
	v int32
	k argKind
}

// Plus is the address off bytes further on.
func (a Arg) Plus(off int) Arg { return Arg{a.v + int32(off), a.k} }

// Imm is a constant argument, sign-extended from 32 bits.
func Imm(v int) Arg { return Arg{v: int32(v)} }

// Cell is a 32-bit word in the data area: it holds the result of an op.
type Cell int32

// Val is the word's value at the time an op runs.
func (c Cell) Val() Arg { return Arg{int32(c), load} }

// Addr is the word's address.
func (c Cell) Addr() Arg { return Arg{int32(c), address} }

// CellAt is the word at byte off of the blob a, for results that belong inside
// a structure (a pollfd, a cmsg).
func CellAt(a Arg, off int) Cell { return Cell(a.v + int32(off)) }

// Label is a place in the program that an op may jump to.
type Label int32

// Note says what an op is for, in the user's words. It costs nothing until it
// is read.
type Note struct {
	Pointer string // config pointer: "mounts", "process.cwd"; "" for the runtime's own doing
	Index   int    // element of Pointer, -1 for none
	Subject string // path or name that the op is about
	Verb    string
}

// String is the note as one line: "mounts[3] /data: bind".
func (n Note) String() string {
	s := n.Pointer
	if n.Index >= 0 && s != "" {
		s += "[" + strconv.Itoa(n.Index) + "]"
	}
	if n.Subject != "" {
		if s != "" {
			s += " "
		}
		s += n.Subject
	}
	if s != "" {
		s += ": "
	}
	return s + n.Verb
}

// op is 64 bytes: a plan has some 400, and every page of them is a fault.
type op struct {
	nr     uint16
	ignore uint16 // errno
	again  uint8  // how often at most it is made again after EAGAIN
	onerr  Label
	dst    Cell
	about  int32 // index of Program.notes
	values [6]int32
	kinds  [6]argKind
	verb   string
}

func (o *op) arg(i int) Arg { return Arg{o.values[i], o.kinds[i]} }

// Op is a handle on the op just added.
type Op struct {
	p *Program
	i int
}

// To stores the op's result (or its negated errno) in c.
func (o Op) To(c Cell) Op { o.p.ops[o.i].dst = c; return o }

// Ignore makes one errno count as success.
func (o Op) Ignore(e unix.Errno) Op { o.p.ops[o.i].ignore = uint16(e); return o }

// Again makes a call that fails with EAGAIN once more, up to 255 times.
func (o Op) Again() Op { o.p.ops[o.i].again = 255; return o }

// Else says where to go on when the op fails.
func (o Op) Else(l Label) Op { o.p.ops[o.i].onerr = l; return o }

type reloc struct{ at, to int32 }

// Program is a list of ops being built. Its zero value is not ready: use New.
type Program struct {
	ops    []op
	data   []byte
	strs   []int32 // where strings begin, for Text
	bss    int32
	relocs []reloc
	labels []int32 // label -> op index
	notes  []Note  // without their verbs
	trace  []int   // ops whose end time is kept
	clocks bool
}

// Failure is the label of the failure handler, which every op that has no Else
// goes to.
const Failure Label = 0

// The layout of the failure record: the address of the failed op and its
// errno, two 32-bit words in place of op 0.
const recordSize = 8

// New starts a program. Its first op is the first that will run; the caller
// must Place Failure before Image.
func New() *Program {
	return &Program{
		ops:    make([]op, 1, 512), // op 0 is the failure record
		data:   make([]byte, 8, 8192),
		labels: make([]int32, 1, 128),
		strs:   make([]int32, 0, 128),
		notes:  append(make([]Note, 0, 64), Note{Index: -1}),
	}
}

// About sets the pointer, index (-1 for none) and subject of the notes of the
// ops that follow.
func (p *Program) About(pointer string, index int, subject string) {
	p.notes = append(p.notes, Note{Pointer: pointer, Index: index, Subject: subject})
}

// Note is what the op that comes next is about.
func (p *Program) Note() Note { return p.notes[len(p.notes)-1] }

// Do adds a system call.
func (p *Program) Do(verb string, nr int, args ...Arg) Op {
	n := len(p.ops)
	p.ops = append(p.ops, op{nr: uint16(nr), about: int32(len(p.notes) - 1), verb: verb})
	o := &p.ops[n]
	for i, a := range args {
		o.values[i], o.kinds[i] = a.v, a.k
	}
	if p.clocks && nr != Assert {
		p.clock(n)
	}
	return Op{p, n}
}

// noteOf is what an op is for.
func (p *Program) noteOf(i int) Note {
	n := p.notes[p.ops[i].about]
	n.Verb = p.ops[i].verb
	return n
}

// NewLabel makes a label that is placed later.
func (p *Program) NewLabel() Label {
	p.labels = append(p.labels, 0)
	return Label(len(p.labels) - 1)
}

// Place puts a label before the next op.
func (p *Program) Place(l Label) { p.labels[l] = int32(len(p.ops)) }

// If goes on when (a & mask) == want and jumps to l otherwise.
func (p *Program) If(a Arg, mask, want int, l Label) {
	p.Do("if", Assert, a, Imm(mask), Imm(want), Imm(1)).Else(l)
}

// Require fails with e unless (a & mask) == want.
func (p *Program) Require(verb string, a Arg, mask, want int, e unix.Errno) Op {
	return p.Do(verb, Assert, a, Imm(mask), Imm(want), Imm(int(e)))
}

// Expect fails with the errno that c holds unless it is e.
func (p *Program) Expect(verb string, c Cell, e unix.Errno) {
	p.Do(verb, Assert, c.Val(), Imm(-1), Imm(int(e)), c.Val())
}

// Goto jumps to l.
func (p *Program) Goto(l Label) {
	p.Do("goto", Assert, Imm(0), Imm(0), Imm(1), Imm(1)).Else(l)
}

// Set stores a 32-bit value or an address in c.
func (p *Program) Set(c Cell, a Arg) {
	// (a & -1) == a holds for whatever a loads to.
	p.Do("set", Assert, a, Imm(-1), a).To(c)
}

// Crash ends the process with SIGSEGV.
func (p *Program) Crash() {
	p.Do("crash", Assert, Arg{bssBit | 0x10000000, load})
}

// FailedOp and FailedErrno are the words of the failure record.
func (p *Program) FailedOp() Arg    { return Arg{recordOff, load} }
func (p *Program) FailedErrno() Arg { return Arg{recordOff + 4, load} }

// recordOff marks the record, which lies before the data area.
const recordOff = -recordSize

// Str is the address of s as a NUL-terminated string. s holds no NUL.
func (p *Program) Str(s string) Arg {
	at := int32(len(p.data))
	p.strs = append(p.strs, at)
	p.data = append(append(p.data, s...), 0)
	return Arg{at, address}
}

func (p *Program) align() int32 {
	for len(p.data)%8 != 0 {
		p.data = append(p.data, 0)
	}
	return int32(len(p.data))
}

// Bytes is the address of a copy of b, aligned to 8.
func (p *Program) Bytes(b []byte) Arg {
	at := p.align()
	p.data = append(p.data, b...)
	return Arg{at, address}
}

// U64 is the address of an array of 64-bit words.
func (p *Program) U64(w ...uint64) Arg {
	at := p.align()
	for _, v := range w {
		p.data = binary.LittleEndian.AppendUint64(p.data, v)
	}
	return Arg{at, address}
}

// U32 is the address of an array of 32-bit words, aligned to 8.
func (p *Program) U32(w ...uint32) Arg {
	at := p.align()
	for _, v := range w {
		p.data = binary.LittleEndian.AppendUint32(p.data, v)
	}
	return Arg{at, address}
}

// Cell makes a cell that holds 0.
func (p *Program) Cell() Cell {
	for len(p.data)%4 != 0 {
		p.data = append(p.data, 0)
	}
	at := len(p.data)
	p.data = append(p.data, 0, 0, 0, 0)
	return Cell(at)
}

// Buffer is the address of n zero bytes that the image does not carry.
func (p *Program) Buffer(n int) Arg {
	at := p.bss
	p.bss += int32(n+7) &^ 7
	return Arg{bssBit | at, address}
}

// bssBit marks an offset as lying in the zeroed memory after the data.
const bssBit = 1 << 30

// Ptr stores the address to at byte off of the blob at.
func (p *Program) Ptr(at Arg, off int, to Arg) {
	p.relocs = append(p.relocs, reloc{at.v + int32(off), to.v})
}

// Vec is the address of a NULL-terminated array of strings.
func (p *Program) Vec(s []string) Arg {
	n := 0
	for i := range s {
		n += len(s[i]) + 1
	}
	strs := int32(len(p.data))
	for i := range s {
		p.data = append(append(p.data, s[i]...), 0)
	}
	at := p.align()
	p.data = append(p.data, make([]byte, 8*(len(s)+1))...)
	for i := range s {
		p.relocs = append(p.relocs, reloc{at + int32(8*i), strs})
		strs += int32(len(s[i]) + 1)
	}
	return Arg{at, address}
}

// Len is the number of ops.
func (p *Program) Len() int { return len(p.ops) - 1 }
