package seccomp

import (
	"math"
	"slices"

	"golang.org/x/sys/unix"
)

// badArch is for calls of an ABI that the profile does not list: libseccomp's
// choice.
const badArch = unix.SECCOMP_RET_KILL_THREAD

// filter emits the whole program: ABIs that share an AUDIT_ARCH share a tree of
// numbers, for x32 marks its numbers with a bit.
func (a *assembler) filter(p *profile, kernel []abi) error {
	a.code = make([]unix.SockFilter, 0, 512)
	named := p.named()
	start := a.ret(badArch)
	for end := len(kernel); end > 0; {
		begin := end - 1
		for begin > 0 && kernel[begin-1].audit == kernel[begin].audit {
			begin--
		}
		t := make(tree, 0, 256)
		for i := begin; i < end; i++ {
			b := &kernel[i]
			if i > 0 && !slices.Contains(p.listed, b.name) {
				t.add(b.bit, verdict{value: badArch})
				if b.bit != 0 {
					// A tracer skips a call by making its number -1; that must not kill.
					t.add(math.MaxUint32, verdict{value: p.fallback})
				}
				continue
			}
			if err := a.abi(&t, p, named, b); err != nil {
				return err
			}
		}
		if len(t) > 1 || t[0].verdict != (verdict{value: badArch}) {
			section := a.tree(t)
			if len(t) > 1 {
				section = a.load(offsetNumber)
			}
			start = a.jump(opJumpEqual, kernel[begin].audit, section, start)
		}
		end = begin
	}
	a.load(offsetArch)
	return nil
}

// named is a name of a rule that some ABI knows.
type named struct {
	call *call
	rule int32
}

// named resolves the names, in the order of the rules. Unknown names are left
// out: an engine's profile lists calls of kernels to come.
func (p *profile) named() []named {
	n := 0
	for i := range p.rules {
		n += len(p.rules[i].names)
	}
	list := make([]named, 0, n)
	for i := range p.rules {
		for _, name := range p.rules[i].names {
			if c := find(name); c >= 0 {
				list = append(list, named{&calls[c], int32(i)})
			}
		}
	}
	return list
}

// abi adds the numbers of an ABI to the tree and emits the code for those with
// conditions.
func (a *assembler) abi(t *tree, p *profile, list []named, b *abi) error {
	s := slots{wide: b.wide, end: 1}
	for _, n := range list {
		s.add(p, n, b.column)
	}
	// As runc: what is newer than all that the profile names does not exist, so
	// that programs fall back on what is older. A profile that lets unknown
	// calls pass means it.
	newer := p.fallback
	if s.last > 0 && !permits(p.fallback) {
		newer = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	}
	for slot, e := range s.entries[:s.end] {
		v := verdict{value: p.fallback}
		switch {
		case e < 0:
			code, err := a.chain(&s, p, ^e)
			if err != nil {
				return err
			}
			v = verdict{code: code + 1}
		case e > 0:
			v.value = p.rules[e-1].action
		case slot > s.last:
			v.value = newer
		}
		t.add(b.number(slot), v)
	}
	t.add(b.number(s.end-1)+1, verdict{value: newer})
	return nil
}
