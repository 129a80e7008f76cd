package seccomp

import "slices"

// slots are the rules of one ABI by the slots of its calls.
type slots struct {
	wide    bool
	last    int            // the highest slot that has a name in the profile
	end     int            // one more than the highest slot that matters
	entries [slotEnd]int32 // 0 for no rule, index+1 of an unconditional rule, ^index of the latest link
	links   []link         // of calls with conditional rules
	chains  []chain        // emitted so far
}

type link struct {
	alternative
	previous int32 // index+1 of a link of the same call, 0 for none
}

// alternative is a conditional rule of a call. A mux other than 0 replaces the
// condition on the first argument by equality with the mux's number.
type alternative struct {
	rule int32
	mux  uint16
}

type chain struct {
	alternatives []alternative
	code         label
}

// Of i386 (asm/unistd_32.h).
const (
	slotSocketcall = 102
	slotIpc        = 117
)

// add adds a rule to a call.
//
// On i386 sockets and System V IPC are reached by calls of their own or by
// socketcall and ipc, whose first argument tells which. As libseccomp, a rule
// is for both ways. The other arguments of socketcall are behind a pointer,
// where no filter can look: a condition on the first argument is lost there. A
// profile that must not lose it leaves out SCMP_ARCH_X86.
func (s *slots) add(p *profile, n named, column int) {
	slot := int(n.call.slots[column])
	if slot != none {
		s.last = max(s.last, slot)
		s.end = max(s.end, slot+1)
	}
	r := &p.rules[n.rule]
	if r.action == p.fallback {
		return // as runc: it counts for nothing, not even against a later rule
	}
	if slot != none {
		s.put(slot, r, alternative{rule: n.rule})
	}
	if column != i386 {
		return
	}
	switch n.call.mux &^ 0xff {
	case socketcall:
		s.put(slotSocketcall, r, alternative{n.rule, n.call.mux})
	case ipc:
		s.put(slotIpc, r, alternative{n.rule, n.call.mux})
	}
}

// put adds a rule to a slot. As libseccomp: the first rule without conditions
// is stronger than all others.
func (s *slots) put(slot int, r *rule, alt alternative) {
	s.end = max(s.end, slot+1)
	e := &s.entries[slot]
	switch {
	case *e > 0:
	case alt.mux == 0 && !slices.ContainsFunc(r.args, s.needed):
		*e = alt.rule + 1
	default:
		s.links = append(s.links, link{alt, -min(*e, 0)})
		*e = ^int32(len(s.links) - 1)
	}
}

// needed tells whether a condition can fail in this ABI.
func (s *slots) needed(c condition) bool {
	if s.wide {
		return c.mask != 0
	}
	return uint32(c.mask) != 0
}
