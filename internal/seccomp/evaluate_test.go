package seccomp

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// systemCall is what a filter sees: struct seccomp_data.
type systemCall struct {
	nr   uint32
	arch uint32
	ip   uint64
	args [6]uint64
}

func (c systemCall) String() string {
	return fmt.Sprintf("arch %#x nr %#x args %#x", c.arch, c.nr, c.args)
}

// interpret runs a filter as the kernel does, and refuses what the kernel's
// checker refuses (seccomp_check_filter, bpf_check_classic).
func interpret(program []byte, c systemCall) (uint32, error) {
	var data [64]byte
	binary.LittleEndian.PutUint32(data[0:], c.nr)
	binary.LittleEndian.PutUint32(data[4:], c.arch)
	binary.LittleEndian.PutUint64(data[8:], c.ip)
	for i, arg := range c.args {
		binary.LittleEndian.PutUint64(data[16+8*i:], arg)
	}
	var accumulator uint32
	for at := 0; ; at += 8 {
		if at+8 > len(program) {
			return 0, fmt.Errorf("ran past the end at %d", at/8)
		}
		code, jt, jf := binary.LittleEndian.Uint16(program[at:]), int(program[at+2]), int(program[at+3])
		k := binary.LittleEndian.Uint32(program[at+4:])
		branch := func(holds bool) {
			if holds {
				at += 8 * jt
			} else {
				at += 8 * jf
			}
		}
		switch code {
		case 0x20: // ld [k]
			if k%4 != 0 || k > 60 {
				return 0, fmt.Errorf("load of %d at %d", k, at/8)
			}
			accumulator = binary.LittleEndian.Uint32(data[k:])
		case 0x54: // and
			accumulator &= k
		case 0x05: // ja
			at += 8 * int(k)
		case 0x15:
			branch(accumulator == k)
		case 0x25:
			branch(accumulator > k)
		case 0x35:
			branch(accumulator >= k)
		case 0x06:
			return k, nil
		default:
			return 0, fmt.Errorf("instruction %#x at %d", code, at/8)
		}
	}
}

// verify holds what every program must be: short enough, and each jump inside.
func verify(t testing.TB, f *Filter) {
	t.Helper()
	n := len(f.Program) / 8
	if len(f.Program)%8 != 0 || n == 0 || n > 4096 {
		t.Fatalf("%d bytes of program", len(f.Program))
	}
	for i := range n {
		in := f.Program[8*i:]
		k := int64(binary.LittleEndian.Uint32(in[4:]))
		switch code := binary.LittleEndian.Uint16(in); {
		case code == 0x05 && int64(i)+1+k >= int64(n),
			code&7 == 5 && code != 5 && i+1+max(int(in[2]), int(in[3])) >= n:
			t.Fatalf("instruction %d jumps out", i)
		}
	}
	if binary.LittleEndian.Uint16(f.Program[8*(n-1):]) != 0x06 {
		t.Fatal("the last instruction does not return")
	}
}

// outcomes says in plain terms what a profile wants of a call: every action
// that a reading of the rules can justify. There is one, save where rules with
// conditions overlap and disagree (TestOverlap holds which wins there).
func outcomes(s *spec.Seccomp, native string, c systemCall) []uint32 {
	column, listed, bit := "", false, uint32(0)
	arches := map[string][3]string{
		"amd64":   {"SCMP_ARCH_X86_64", "SCMP_ARCH_X32", "SCMP_ARCH_X86"},
		"arm64":   {"SCMP_ARCH_AARCH64", "", "SCMP_ARCH_ARM"},
		"riscv64": {"SCMP_ARCH_RISCV64", "", ""},
	}[native]
	audits := map[string][2]uint32{
		"amd64":   {0xc000003e, 0x40000003},
		"arm64":   {0xc00000b7, 0x40000028},
		"riscv64": {0xc00000f3, 0},
	}[native]
	switch {
	case c.arch == audits[0] && native == "amd64" && c.nr >= 1<<30:
		column, bit = arches[1], 1<<30
		listed = slices.Contains(s.Architectures, column)
		if c.nr == 0xffffffff && !listed {
			return []uint32{value(s.DefaultAction, s.DefaultErrnoRet)}
		}
	case c.arch == audits[0]:
		column, listed = arches[0], true
	case c.arch == audits[1] && c.arch != 0:
		column = arches[2]
		listed = slices.Contains(s.Architectures, column)
	}
	if !listed {
		return []uint32{0} // SECCOMP_RET_KILL_THREAD
	}
	fallback := value(s.DefaultAction, s.DefaultErrnoRet)
	var last uint32
	var conditional []uint32
	unconditional, decided := uint32(0), false
	for i := range s.Syscalls {
		r := &s.Syscalls[i]
		action := value(r.Action, r.ErrnoRet)
		for _, name := range r.Names {
			nr, known := numberOf(name, column)
			nr |= bit
			if known {
				last = max(last, nr)
			}
			if action == fallback {
				continue
			}
			if known && nr == c.nr {
				always, holds := judge(r.Args, c, column, false)
				if always && !decided {
					unconditional, decided = action, true
				} else if holds && !always {
					conditional = append(conditional, action)
				}
			}
			if mux, first := multiplexed(name); column == "SCMP_ARCH_X86" && mux == c.nr && mux != 0 {
				if _, holds := judge(r.Args, c, column, true); holds && uint32(c.args[0]) == first {
					conditional = append(conditional, action)
				}
			}
		}
	}
	action := fallback &^ 0xffff
	permissive := action == unix.SECCOMP_RET_ALLOW || action == unix.SECCOMP_RET_LOG || action == unix.SECCOMP_RET_TRACE
	switch {
	case decided:
		return []uint32{unconditional}
	case len(conditional) > 0:
		return conditional
	case !permissive && last&^bit > 0 && c.nr > last:
		return []uint32{0x00050000 | uint32(unix.ENOSYS)}
	}
	return []uint32{fallback}
}

func value(action string, errno *uint32) uint32 {
	data := uint32(1)
	if errno != nil {
		data = *errno
	}
	return map[string]uint32{
		"SCMP_ACT_KILL":         0,
		"SCMP_ACT_KILL_THREAD":  0,
		"SCMP_ACT_KILL_PROCESS": 0x80000000,
		"SCMP_ACT_TRAP":         0x00030000,
		"SCMP_ACT_ERRNO":        0x00050000 | data,
		"SCMP_ACT_NOTIFY":       0x7fc00000,
		"SCMP_ACT_TRACE":        0x7ff00000 | data,
		"SCMP_ACT_LOG":          0x7ffc0000,
		"SCMP_ACT_ALLOW":        0x7fff0000,
	}[action]
}

var numbers = sync.OnceValue(func() map[[2]string]uint32 {
	m := map[[2]string]uint32{}
	for column, arch := range []string{"SCMP_ARCH_X86_64", "SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_RISCV64"} {
		for i := range calls {
			slot := uint32(calls[i].slots[column])
			if slot > 1000 && slot != 0xffff {
				slot += 0xf0000 - 1000
			}
			if slot != 0xffff {
				m[[2]string{arch, calls[i].name}] = slot
			}
		}
	}
	return m
})

func numberOf(name, arch string) (uint32, bool) {
	nr, ok := numbers()[[2]string{arch, name}]
	return nr, ok
}

func multiplexed(name string) (call, first uint32) {
	sockets := strings.Fields("socket bind connect listen accept getsockname getpeername socketpair send recv sendto recvfrom shutdown setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg")
	if i := slices.Index(sockets, name); i >= 0 {
		return 102, uint32(i) + 1
	}
	first, ok := map[string]uint32{"semop": 1, "semget": 2, "semctl": 3, "semtimedop": 4, "msgsnd": 11, "msgrcv": 12,
		"msgget": 13, "msgctl": 14, "shmat": 21, "shmdt": 22, "shmget": 23, "shmctl": 24}[name]
	if !ok {
		return 0, 0
	}
	return 117, first
}

// judge tells whether conditions hold, and whether they always do.
func judge(args []spec.SeccompArg, c systemCall, arch string, mux bool) (always, holds bool) {
	width := ^uint64(0)
	if arch == "SCMP_ARCH_X86" || arch == "SCMP_ARCH_X32" || arch == "SCMP_ARCH_ARM" {
		width = 0xffffffff
	}
	var count [6]int
	for _, a := range args {
		count[a.Index]++
	}
	any := slices.Max(count[:]) > 1 // each condition is a rule
	always, holds = true, true
	if any {
		always, holds = false, false
	}
	for _, a := range args {
		got, want := c.args[a.Index]&width, a.Value&width
		vacuous, held := false, false
		switch a.Op {
		case "SCMP_CMP_EQ":
			held = got == want
		case "SCMP_CMP_NE":
			held = got != want
		case "SCMP_CMP_LT":
			held = got < want
		case "SCMP_CMP_LE":
			held = got <= want
		case "SCMP_CMP_GT":
			held = got > want
		case "SCMP_CMP_GE":
			held = got >= want
		case "SCMP_CMP_MASKED_EQ":
			held = got&want == a.ValueTwo&want
			vacuous = want == 0
		}
		if mux && a.Index == 0 {
			held = true
		}
		if any {
			always, holds = always || vacuous, holds || held
		} else {
			always, holds = always && vacuous, holds && held
		}
	}
	return always, holds
}

// compare checks one call against the plain reading.
func compare(t testing.TB, s *spec.Seccomp, native string, f *Filter, c systemCall) {
	t.Helper()
	got, err := interpret(f.Program, c)
	if err != nil {
		t.Fatalf("%v: %v", c, err)
	}
	if want := outcomes(s, native, c); !slices.Contains(want, got) {
		t.Fatalf("%s, %v: the filter returns %#x, the profile says %#x\n%+v", native, c, got, want, s)
	}
	if f.audit == c.arch && f.Allows(int(c.nr)) && got != unix.SECCOMP_RET_ALLOW && got != unix.SECCOMP_RET_LOG {
		t.Fatalf("%v: returns %#x and is said to be allowed always", c, got)
	}
}

type random struct{ *rand.Rand }

func pick[T any](r random, list ...T) T { return list[r.IntN(len(list))] }

// number is one that is likely to be near another's edge.
func (r random) number() uint64 {
	n := pick(r, 0, 1, 2, 5, 8, 0x7e020000, 0x20000, 0x7fffffff, 0x80000000, 0xffffffff, 1<<32, 1<<32+5, 7<<32, 1<<63, ^uint64(0), r.Uint64())
	return n + pick(r, 0, 0, 0, 1, ^uint64(0))
}

func (r random) profile() *spec.Seccomp {
	actions := []string{"SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP", "SCMP_ACT_ERRNO",
		"SCMP_ACT_ERRNO", "SCMP_ACT_TRACE", "SCMP_ACT_LOG", "SCMP_ACT_ALLOW", "SCMP_ACT_ALLOW", "SCMP_ACT_ALLOW"}
	errno := func(action string) *uint32 {
		if action != "SCMP_ACT_ERRNO" && action != "SCMP_ACT_TRACE" || r.IntN(2) == 0 {
			return nil
		}
		n := uint32(r.IntN(4096))
		return &n
	}
	s := &spec.Seccomp{DefaultAction: pick(r, actions...), ListenerPath: "/run/agent"}
	s.DefaultErrnoRet = errno(s.DefaultAction)
	for _, arch := range []string{"SCMP_ARCH_X86_64", "SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_S390X"} {
		if r.IntN(3) > 0 {
			s.Architectures = append(s.Architectures, arch)
		}
	}
	few := r.IntN(len(calls)-20) + 1
	for range r.IntN(12) {
		rule := spec.SeccompRule{Action: pick(r, append(actions, "SCMP_ACT_NOTIFY")...)}
		rule.ErrnoRet = errno(rule.Action)
		for range pick(r, 1, 2, 3, 60) {
			name := calls[pick(r, r.IntN(len(calls)), few+r.IntN(20))].name
			if name != "write" {
				rule.Names = append(rule.Names, pick(r, name, name, name, name, name, "newer_than_all"))
			}
		}
		for range pick(r, 0, 0, 0, 1, 1, 2, 3) {
			rule.Args = append(rule.Args, spec.SeccompArg{
				Index: uint32(r.IntN(6)), Value: r.number(), ValueTwo: r.number(),
				Op: pick(r, "SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_GT", "SCMP_CMP_GE", "SCMP_CMP_MASKED_EQ"),
			})
		}
		s.Syscalls = append(s.Syscalls, rule)
	}
	return s
}

// call is a call that the profile may have an opinion on.
func (r random) call(s *spec.Seccomp) systemCall {
	c := systemCall{
		arch: pick[uint32](r, 0xc000003e, 0xc000003e, 0x40000003, 0xc00000b7, 0xc00000b7, 0x40000028, 0xc00000f3, 0xc00000f3, r.Uint32()),
		nr:   pick(r, uint32(r.IntN(600)), uint32(r.IntN(600))|1<<30, 0xf0000+uint32(r.IntN(8)), 102, 117, 0xffffffff, r.Uint32()),
	}
	for i := range c.args {
		c.args[i] = r.number()
	}
	if len(s.Syscalls) == 0 || r.IntN(8) == 0 {
		return c
	}
	rule := s.Syscalls[r.IntN(len(s.Syscalls))]
	if len(rule.Names) > 0 {
		arch := pick(r, "SCMP_ARCH_X86_64", "SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_RISCV64")
		c.arch = map[string]uint32{"SCMP_ARCH_X86_64": 0xc000003e, "SCMP_ARCH_X32": 0xc000003e, "SCMP_ARCH_X86": 0x40000003,
			"SCMP_ARCH_AARCH64": 0xc00000b7, "SCMP_ARCH_ARM": 0x40000028, "SCMP_ARCH_RISCV64": 0xc00000f3}[arch]
		name := rule.Names[r.IntN(len(rule.Names))]
		if nr, ok := numberOf(name, arch); ok {
			c.nr = nr
			if arch == "SCMP_ARCH_X32" {
				c.nr |= 1 << 30
			}
		}
		if mux, first := multiplexed(name); mux != 0 && arch == "SCMP_ARCH_X86" && r.IntN(2) == 0 {
			c.nr, c.args[0] = mux, uint64(first)
		}
	}
	for _, a := range rule.Args {
		if r.IntN(4) > 0 {
			c.args[a.Index] = pick(r, a.Value, a.Value, a.Value+1, a.Value-1, a.ValueTwo&a.Value, a.ValueTwo, uint64(uint32(a.Value)))
		}
	}
	return c
}

func TestRandomProfiles(t *testing.T) {
	compiled, refused := 0, 0
	for seed := range uint64(2000) {
		r := random{rand.New(rand.NewPCG(seed, 1))}
		s := r.profile()
		native := pick(r, "amd64", "amd64", "arm64", "riscv64")
		f, err := Compile(s, native)
		if err != nil {
			if !strings.Contains(err.Error(), "with another action") {
				t.Fatalf("seed %d: %v", seed, err)
			}
			refused++
			continue
		}
		compiled++
		verify(t, f)
		for range 40 {
			compare(t, s, native, f, r.call(s))
		}
	}
	if refused*10 > compiled {
		t.Errorf("%d of %d profiles refused: too few are tried", refused, refused+compiled)
	}
}

func TestDocker(t *testing.T) {
	s := docker(t)
	for _, native := range []string{"amd64", "arm64", "riscv64"} {
		f, err := Compile(s, native)
		if err != nil {
			t.Fatal(err)
		}
		verify(t, f)
		r := random{rand.New(rand.NewPCG(1, 2))}
		for range 10000 {
			compare(t, s, native, f, r.call(s))
		}
		for _, name := range []string{"read", "write", "writev", "close", "execve", "exit_group"} {
			nr, _ := numberOf(name, abis(native)[0].name)
			if !f.Allows(int(nr)) {
				t.Errorf("%s: %s is not allowed always", native, name)
			}
		}
		for _, name := range []string{"clone", "socket", "personality", "mount", "clone3"} {
			nr, _ := numberOf(name, abis(native)[0].name)
			if f.Allows(int(nr)) {
				t.Errorf("%s: %s is allowed always", native, name)
			}
		}
	}
}
