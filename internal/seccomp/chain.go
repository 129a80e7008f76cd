package seccomp

import (
	"cmp"
	"slices"
	"strconv"
)

// branch is an alternative ready to emit.
type branch struct {
	rule   *rule
	direct bool // not by a multiplexer
	args   []condition
}

// chain emits the code for a call whose latest link this is: the first of its
// alternatives that holds decides, or else the default action. Calls with the
// same alternatives share it.
func (a *assembler) chain(s *slots, p *profile, latest int32) (label, error) {
	alternatives := make([]alternative, 0, 8)
	for i := latest + 1; i > 0; i = s.links[i-1].previous {
		alternatives = append(alternatives, s.links[i-1].alternative)
	}
	slices.Reverse(alternatives)
	for i := range s.chains {
		if slices.Equal(s.chains[i].alternatives, alternatives) {
			return s.chains[i].code, nil
		}
	}
	if len(alternatives) > maxInstructions {
		return 0, tooLong(len(alternatives))
	}
	branches := make([]branch, 0, len(alternatives))
	for _, alt := range alternatives {
		var err error
		if branches, err = s.insert(branches, s.branch(&p.rules[alt.rule], alt.mux)); err != nil {
			return 0, err
		}
	}
	next := a.ret(p.fallback)
	for i := len(branches) - 1; i >= 0; i-- {
		next = a.branch(s, &branches[i], next)
	}
	s.chains = append(s.chains, chain{alternatives, next})
	return next, nil
}

func (s *slots) branch(r *rule, mux uint16) branch {
	if mux == 0 && !slices.ContainsFunc(r.args, func(c condition) bool { return !s.needed(c) }) {
		return branch{r, true, r.args}
	}
	b := branch{r, mux == 0, make([]condition, 0, len(r.args)+1)}
	if mux != 0 {
		b.args = append(b.args, condition{op: equal, value: uint64(mux & 0xff), mask: ^uint64(0)})
	}
	for _, c := range r.args {
		if s.needed(c) && (mux == 0 || c.arg != 0) {
			b.args = append(b.args, c)
		}
	}
	return b
}

// insert puts a branch behind those that it does not precede.
func (s *slots) insert(list []branch, b branch) ([]branch, error) {
	for i := range list {
		x := &list[i]
		if slices.Equal(x.args, b.args) {
			if x.direct && b.direct && x.rule.action != b.rule.action {
				return nil, refuse(at("syscalls", b.rule.entry), "the conditions of syscalls["+strconv.Itoa(x.rule.entry)+"] with another action: remove one")
			}
			return list, nil
		}
		if s.compare(&b, x) < 0 {
			return slices.Insert(list, i, b), nil
		}
	}
	return append(list, b), nil
}

// compare is libseccomp's order, which decides where conditions
// overlap: higher arguments first, equality before order, then high values
// first, for less the low ones; one that begins like another, but ends sooner,
// comes first. Two things of libseccomp are not followed: it merges common
// beginnings into a tree, which with several actions can prefer another of the
// rules that hold, and its tree can lose the high half of an argument in the
// orders (2.5.4: a rule then applies whose conditions do not hold).
func (s *slots) compare(x, y *branch) int {
	for i := range min(len(x.args), len(y.args)) {
		c, d := x.args[i], y.args[i]
		if c.arg != d.arg {
			return cmp.Compare(d.arg, c.arg)
		}
		if n := cmp.Compare(c.op.rank(), d.op.rank()); n != 0 {
			return n
		}
		descending := func(c, d uint64) int {
			if x.args[i].op.rank() == rankLess {
				return cmp.Compare(uint32(c), uint32(d))
			}
			return cmp.Compare(uint32(d), uint32(c))
		}
		masked := c.op == maskedEqual != (d.op == maskedEqual)
		if s.wide {
			if n := descending(c.value>>32, d.value>>32); n != 0 {
				return n
			}
			if masked || c.mask>>32 != d.mask>>32 {
				return 0
			}
		}
		if n := descending(c.value, d.value); n != 0 {
			return n
		}
		if masked || c.mask != d.mask || c.op != d.op {
			return 0
		}
	}
	return cmp.Compare(len(x.args), len(y.args))
}

const rankLess = 2

func (o op) rank() int {
	switch o {
	case equal, notEqual, maskedEqual:
		return 1
	case less, lessEqual:
		return rankLess
	}
	return 3
}

// branch emits one: its action when all its conditions hold, else no.
func (a *assembler) branch(s *slots, b *branch, no label) label {
	yes := a.ret(b.rule.action)
	for i := len(b.args) - 1; i >= 0; i-- {
		yes = a.condition(&b.args[i], s.wide, yes, no)
	}
	return yes
}

func (a *assembler) condition(c *condition, wide bool, yes, no label) label {
	switch c.op {
	case notEqual:
		return a.equal(c, wide, no, yes)
	case less:
		return a.greater(c, opJumpGreaterEqual, wide, no, yes)
	case lessEqual:
		return a.greater(c, opJumpGreater, wide, no, yes)
	case greater:
		return a.greater(c, opJumpGreater, wide, yes, no)
	case greaterEqual:
		return a.greater(c, opJumpGreaterEqual, wide, yes, no)
	}
	return a.equal(c, wide, yes, no)
}

// equal compares both halves of an argument under the mask.
func (a *assembler) equal(c *condition, wide bool, yes, no label) label {
	yes = a.half(offsetArgs+8*c.arg, uint32(c.value), uint32(c.mask), yes, no)
	if wide {
		yes = a.half(offsetArgs+8*c.arg+4, uint32(c.value>>32), uint32(c.mask>>32), yes, no)
	}
	return yes
}

func (a *assembler) half(offset, value, mask uint32, yes, no label) label {
	switch mask {
	case 0:
		return yes
	case ^uint32(0):
		a.jump(opJumpEqual, value, yes, no)
	default:
		a.jump(opJumpEqual, value, yes, no)
		a.emit(opAnd, mask)
	}
	return a.load(offset)
}

// greater compares the low half with the given jump where the high halves are
// equal.
func (a *assembler) greater(c *condition, low uint16, wide bool, yes, no label) label {
	a.jump(low, uint32(c.value), yes, no)
	here := a.load(offsetArgs + 8*c.arg)
	if wide {
		here = a.jump(opJumpEqual, uint32(c.value>>32), here, no)
		a.jump(opJumpGreater, uint32(c.value>>32), yes, here)
		here = a.load(offsetArgs + 8*c.arg + 4)
	}
	return here
}
