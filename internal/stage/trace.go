package stage

import "golang.org/x/sys/unix"

// traceBit marks an offset as lying in the array of times behind the buffers.
const traceBit = 1 << 29

// Trace makes every op that follows store the time at which it ended.
func (p *Program) Trace() { p.clocks = true }

func (p *Program) clock(op int) {
	at := Arg{traceBit | int32(16*len(p.trace)), address}
	p.ops = append(p.ops, p.ops[0])
	c := &p.ops[len(p.ops)-1]
	c.nr = unix.SYS_CLOCK_GETTIME
	c.values = [6]int32{unix.CLOCK_MONOTONIC, at.v}
	c.kinds = [6]argKind{immediate, address}
	c.verb = "clock"
	p.trace = append(p.trace, op)
}

// WriteTrace writes the times so far to the descriptor fd, a struct timespec
// an op, in the order of TracedOps, and ends the tracing. An op that was not
// run has the time 0.
func (p *Program) WriteTrace(fd int) {
	if !p.clocks {
		return
	}
	p.clocks = false
	if n := len(p.trace); n > 0 {
		p.About("", -1, "")
		p.Do("write trace", unix.SYS_WRITE, Imm(fd), Arg{traceBit, address}, Imm(16*n))
	}
}

// TracedOps are the notes of the traced ops, in the order of the times that
// WriteTrace writes.
func (p *Program) TracedOps() []Note {
	notes := make([]Note, len(p.trace))
	for i, op := range p.trace {
		notes[i] = p.noteOf(op)
	}
	return notes
}
