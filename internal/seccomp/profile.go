package seccomp

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strconv"

	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// profile is a checked linux.seccomp.
type profile struct {
	fallback uint32 // what the filter returns when no rule matches
	rules    []rule
	flags    uint32
	notify   bool
	listed   []string // architectures
	strict   bool     // an unknown system call is refused
}

// rule is an entry of linux.seccomp.syscalls. Its arguments are in the order of
// their indexes, at most one condition each.
type rule struct {
	entry  int // index in linux.seccomp.syscalls
	names  []string
	action uint32 // what the filter returns
	args   []condition
}

// condition holds when the argument, masked, compares so with value.
type condition struct {
	arg   uint32
	op    op
	value uint64
	mask  uint64
}

type op uint8

const (
	noOp op = iota
	equal
	notEqual
	greater
	greaterEqual
	less
	lessEqual
	maskedEqual
)

func read(s *spec.Seccomp) (*profile, error) {
	p := &profile{listed: s.Architectures, strict: s.FailUnknown}
	for i, name := range s.Architectures {
		if !knownArchitecture(name) {
			return nil, refuse(at("architectures", i), "unknown architecture "+name+", use SCMP_ARCH_X86_64 and the like")
		}
	}
	var err error
	if p.flags, err = readFlags(s.Flags); err != nil {
		return nil, err
	}
	if p.fallback, err = readAction("defaultAction", s.DefaultAction, "defaultErrnoRet", s.DefaultErrnoRet); err != nil {
		return nil, err
	}
	if p.fallback == unix.SECCOMP_RET_USER_NOTIF {
		// The call that tells of the listener would wait for the listener.
		return nil, refuse("defaultAction", "SCMP_ACT_NOTIFY cannot be the default: write must work before the listener does")
	}
	p.rules = make([]rule, 0, len(s.Syscalls))
	for i := range s.Syscalls {
		if err := p.readRule(i, &s.Syscalls[i]); err != nil {
			return nil, err
		}
	}
	if p.notify && s.ListenerPath == "" {
		return nil, refuse("listenerPath", "missing: SCMP_ACT_NOTIFY needs the socket of an agent")
	}
	if p.flags&unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV != 0 && !p.notify {
		return nil, refuse("flags", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs a rule with SCMP_ACT_NOTIFY")
	}
	return p, nil
}

func readFlags(names []string) (flags uint32, err error) {
	if names == nil {
		// As runc: a profile that says nothing of flags keeps speculation fast.
		return unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW, nil
	}
	for i, name := range names {
		switch name {
		case "SECCOMP_FILTER_FLAG_TSYNC":
			// The process that loads the filter has one thread.
		case "SECCOMP_FILTER_FLAG_LOG":
			flags |= unix.SECCOMP_FILTER_FLAG_LOG
		case "SECCOMP_FILTER_FLAG_SPEC_ALLOW":
			flags |= unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
		case "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV":
			flags |= unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
		default:
			return 0, refuse(at("flags", i), "unknown flag "+name+", use SECCOMP_FILTER_FLAG_TSYNC, _LOG, _SPEC_ALLOW or _WAIT_KILLABLE_RECV")
		}
	}
	return flags, nil
}

// readAction returns what a filter returns for an action (seccomp(2)).
func readAction(pointer, name, errnoPointer string, errnoRet *uint32) (uint32, error) {
	data, most := uint32(unix.EPERM), uint32(0)
	var action uint32
	switch name {
	case "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD":
		action = unix.SECCOMP_RET_KILL_THREAD
	case "SCMP_ACT_KILL_PROCESS":
		action = unix.SECCOMP_RET_KILL_PROCESS
	case "SCMP_ACT_TRAP":
		action = unix.SECCOMP_RET_TRAP
	case "SCMP_ACT_ALLOW":
		action = unix.SECCOMP_RET_ALLOW
	case "SCMP_ACT_LOG":
		action = unix.SECCOMP_RET_LOG
	case "SCMP_ACT_NOTIFY":
		action = unix.SECCOMP_RET_USER_NOTIF
	case "SCMP_ACT_ERRNO":
		action, most = unix.SECCOMP_RET_ERRNO, 4095 // the kernel's MAX_ERRNO
	case "SCMP_ACT_TRACE":
		action, most = unix.SECCOMP_RET_TRACE, unix.SECCOMP_RET_DATA
	case "":
		return 0, refuse(pointer, "missing: use SCMP_ACT_ERRNO, SCMP_ACT_ALLOW and the like")
	default:
		return 0, refuse(pointer, "unknown action "+name+", use SCMP_ACT_ALLOW, _ERRNO, _LOG, _NOTIFY, _TRACE, _TRAP, _KILL, _KILL_THREAD or _KILL_PROCESS")
	}
	if errnoRet != nil {
		if most == 0 {
			return 0, refuse(errnoPointer, "only SCMP_ACT_ERRNO and SCMP_ACT_TRACE take a number, not "+name)
		}
		if data = *errnoRet; data > most {
			return 0, refuse(errnoPointer, strconv.FormatUint(uint64(data), 10)+" is too large for "+name+", the most is "+strconv.Itoa(int(most)))
		}
	}
	if most == 0 {
		return action, nil
	}
	return action | data, nil
}

func (p *profile) readRule(i int, s *spec.SeccompRule) error {
	pointer := at("syscalls", i)
	action, err := readAction(pointer+".action", s.Action, pointer+".errnoRet", s.ErrnoRet)
	if err != nil {
		return err
	}
	for j, name := range s.Names {
		if name == "" {
			return refuse(at(pointer+".names", j), "empty: name a system call")
		}
		if p.strict && find(name) < 0 {
			return refuse(at(pointer+".names", j), "unknown system call "+name)
		}
		if action == unix.SECCOMP_RET_USER_NOTIF && name == "write" {
			return refuse(at(pointer+".names", j), "SCMP_ACT_NOTIFY cannot be used for the write syscall: it must work before the listener does")
		}
	}
	p.notify = p.notify || action == unix.SECCOMP_RET_USER_NOTIF && len(s.Names) > 0
	args := make([]condition, len(s.Args))
	twice := false
	var seen [6]bool
	for j := range s.Args {
		if args[j], err = readCondition(at(pointer+".args", j), &s.Args[j]); err != nil {
			return err
		}
		twice = twice || seen[args[j].arg]
		seen[args[j].arg] = true
	}
	if !twice {
		slices.SortFunc(args, func(a, b condition) int { return cmp.Compare(a.arg, b.arg) })
		p.rules = append(p.rules, rule{i, s.Names, action, args})
		return nil
	}
	// As runc: with two conditions on one argument, each condition is a rule.
	for j := range args {
		p.rules = append(p.rules, rule{i, s.Names, action, args[j : j+1]})
	}
	return nil
}

func readCondition(pointer string, s *spec.SeccompArg) (condition, error) {
	c := condition{arg: s.Index, value: s.Value, mask: math.MaxUint64}
	if s.Index > 5 {
		return c, refuse(pointer+".index", strconv.FormatUint(uint64(s.Index), 10)+" is not an argument of a system call, they are 0 to 5")
	}
	switch s.Op {
	case "SCMP_CMP_EQ":
		c.op = equal
	case "SCMP_CMP_NE":
		c.op = notEqual
	case "SCMP_CMP_GT":
		c.op = greater
	case "SCMP_CMP_GE":
		c.op = greaterEqual
	case "SCMP_CMP_LT":
		c.op = less
	case "SCMP_CMP_LE":
		c.op = lessEqual
	case "SCMP_CMP_MASKED_EQ":
		c.op, c.mask, c.value = maskedEqual, s.Value, s.ValueTwo&s.Value
	case "":
		return c, refuse(pointer+".op", "missing: use SCMP_CMP_EQ and the like")
	default:
		return c, refuse(pointer+".op", "unknown operator "+s.Op+", use SCMP_CMP_EQ, _NE, _LT, _LE, _GT, _GE or _MASKED_EQ")
	}
	return c, nil
}

func at(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

func refuse(pointer, reason string) error {
	return &spec.Error{Pointer: "linux.seccomp." + pointer, Err: errors.New(reason)}
}
