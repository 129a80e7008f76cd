package seccomp

import "golang.org/x/sys/unix"

// tree is what becomes of every number, as intervals: each lasts until the
// next. The program finds a number's interval with a binary search, for a list
// of comparisons costs a container ten times the time to load.
type tree []interval

type interval struct {
	first uint32
	verdict
}

// verdict is a value to return or, when code is not zero, the label of the code
// that looks at arguments, plus one.
type verdict struct {
	value uint32
	code  label
}

// add begins an interval; its number is higher than all before.
func (t *tree) add(first uint32, v verdict) {
	if n := len(*t); n == 0 || (*t)[n-1].verdict != v {
		*t = append(*t, interval{first, v})
	}
}

func (a *assembler) tree(t tree) label {
	if len(t) == 1 {
		if t[0].code != 0 {
			return t[0].code - 1
		}
		return a.ret(t[0].value)
	}
	mid := len(t) / 2
	high := a.tree(t[mid:])
	low := a.tree(t[:mid])
	return a.jump(opJumpGreaterEqual, t[mid].first, high, low)
}

// permits tells whether a profile's default lets system calls pass.
func permits(action uint32) bool {
	switch action & unix.SECCOMP_RET_ACTION_FULL {
	case unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_LOG, unix.SECCOMP_RET_TRACE:
		return true
	}
	return false
}
