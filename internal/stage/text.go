package stage

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Text is the program for people: one op a line with its number, what it is
// for, the call with strings in place of their addresses, and where it goes
// when it fails. name gives the names of system calls.
func (p *Program) Text(name func(nr int) string) string {
	var b strings.Builder
	last := ""
	for i := 1; i < len(p.ops); i++ {
		o := &p.ops[i]
		if about := p.notes[o.about].String(); about != last {
			last = about
			if about == "" {
				about = "ostia:"
			}
			b.WriteString(strings.TrimSuffix(about, " ") + "\n")
		}
		b.WriteString("  " + pad(strconv.Itoa(i), 4) + "  " + p.call(o, name))
		if o.dst != 0 {
			b.WriteString(" -> " + p.place(int32(o.dst)))
		}
		if o.ignore != 0 {
			b.WriteString(", " + unix.Errno(o.ignore).Error() + " is fine")
		}
		if o.again != 0 {
			b.WriteString(", again after " + unix.EAGAIN.Error())
		}
		if o.onerr != Failure {
			b.WriteString(", else " + strconv.Itoa(int(p.labels[o.onerr])))
		}
		if o.nr != Assert {
			b.WriteString("  # " + o.verb)
		} else if o.onerr == Failure && o.verb != "set" {
			b.WriteString("  # else: " + o.verb)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// CallText is the system call of a failed op, given its address, for people; ""
// if it is none.
func (p *Program) CallText(address uint32, name func(nr int) string) string {
	i := opAt(address)
	if i <= 0 || i >= len(p.ops) || p.ops[i].nr == Assert {
		return ""
	}
	return p.call(&p.ops[i], name)
}

func (p *Program) call(o *op, name func(int) string) string {
	if o.nr == Assert {
		switch {
		case o.verb == "set":
			return "set " + p.arg(o.arg(0))
		case o.verb == "goto":
			return "goto"
		}
		cond := p.arg(o.arg(0))
		if o.arg(1) != Imm(-1) {
			cond += " & " + p.arg(o.arg(1))
		}
		return "require " + cond + " == " + p.arg(o.arg(2))
	}
	n := len(o.values)
	for n > 0 && o.arg(n-1) == (Arg{}) {
		n--
	}
	args := make([]string, n)
	for i := range n {
		args[i] = p.arg(o.arg(i))
	}
	return name(int(o.nr)) + "(" + strings.Join(args, ", ") + ")"
}

// arg is an argument for people: a string in quotes, a cell by its name, a
// number.
func (p *Program) arg(a Arg) string {
	switch a.k {
	case load:
		return p.place(a.v)
	case address:
		if s, ok := p.text(a.v); ok {
			return strconv.Quote(s)
		}
		return "&" + p.place(a.v)
	}
	if a.v > 0xffff {
		return "0x" + strconv.FormatInt(int64(a.v), 16)
	}
	return strconv.Itoa(int(a.v))
}

// place names a word of memory.
func (p *Program) place(v int32) string {
	switch {
	case v == recordOff:
		return "failed.op"
	case v < 0:
		return "failed.errno"
	case v&traceBit != 0:
		return "times"
	case v&bssBit != 0:
		return "buffer" + strconv.Itoa(int(v&^bssBit))
	}
	return "w" + strconv.Itoa(int(v))
}

// text is the string at an address, if one was put there.
func (p *Program) text(v int32) (string, bool) {
	if v < 0 || v&(bssBit|traceBit) != 0 {
		return "", false
	}
	for _, s := range p.strs {
		if s == v {
			end := v
			for p.data[end] != 0 {
				end++
			}
			return string(p.data[v:end]), true
		}
	}
	return "", false
}

func pad(s string, n int) string {
	for len(s) < n {
		s = " " + s
	}
	return s
}
