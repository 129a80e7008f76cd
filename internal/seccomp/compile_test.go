package seccomp

import (
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// parse reads a linux.seccomp as it is read from a config.json.
func parse(t testing.TB, text string) *spec.Seccomp {
	s, err := spec.Decode(config(text))
	if err != nil {
		t.Fatal(err)
	}
	return s.Linux.Seccomp
}

func config(text string) string { return `{"ociVersion":"1.3.0","linux":{"seccomp":` + text + `}}` }

func TestRefused(t *testing.T) {
	rule := func(body string) string { return `{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [` + body + `]}` }
	for _, test := range []struct{ profile, want string }{
		{`{"defaultAction": "SCMP_ACT_NONE"}`, "linux.seccomp.defaultAction: unknown action SCMP_ACT_NONE"},
		{`{"syscalls": [{}]}`, "linux.seccomp.defaultAction: missing"},
		{`{"defaultAction": "SCMP_ACT_NOTIFY"}`, "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot"},
		{`{"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}`, "linux.seccomp.defaultErrnoRet: only SCMP_ACT_ERRNO and SCMP_ACT_TRACE"},
		{`{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 4096}`, "linux.seccomp.defaultErrnoRet: 4096 is too large"},
		{`{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86", "X86_64"]}`, "linux.seccomp.architectures[1]: unknown architecture X86_64"},
		{`{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_FAST"]}`, "linux.seccomp.flags[0]: unknown flag SECCOMP_FILTER_FLAG_FAST"},
		{`{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}`, "linux.seccomp.flags: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs"},
		{rule(`{"names": ["read"], "action": "SCMP_ACT_ALLOW"}, {"names": ["read"]}`), "linux.seccomp.syscalls[1].action: missing"},
		{rule(`{"names": ["read", ""], "action": "SCMP_ACT_ALLOW"}`), "linux.seccomp.syscalls[0].names[1]: empty"},
		{rule(`{"names": ["read"], "action": "SCMP_ACT_KILL", "errnoRet": 1}`), "linux.seccomp.syscalls[0].errnoRet: only"},
		{rule(`{"names": ["read"], "action": "SCMP_ACT_NOTIFY"}`), "linux.seccomp.listenerPath: missing"},
		{rule(`{"names": ["write"], "action": "SCMP_ACT_NOTIFY"}`), "linux.seccomp.syscalls[0].names[0]: SCMP_ACT_NOTIFY cannot be used for the write syscall"},
		{rule(`{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "op": "SCMP_CMP_EQ"}, {"index": 6, "op": "SCMP_CMP_EQ"}]}`), "linux.seccomp.syscalls[0].args[1].index: 6"},
		{rule(`{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "op": "EQ"}]}`), "linux.seccomp.syscalls[0].args[0].op: unknown operator EQ"},
		{rule(`{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0}]}`), "linux.seccomp.syscalls[0].args[0].op: missing"},
		{rule(`{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "op": "SCMP_CMP_EQ"}]},
			{"names": ["read"], "action": "SCMP_ACT_LOG", "args": [{"index": 0, "op": "SCMP_CMP_EQ"}]}`), "linux.seccomp.syscalls[1]: the conditions of syscalls[0] with another action"},
	} {
		_, err := Compile(parse(t, test.profile), "amd64")
		var refused *spec.Error
		if !errors.As(err, &refused) || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s\n gives %v\n want  %s", test.profile, err, test.want)
		}
	}
	if _, err := Compile(parse(t, `{"defaultAction": "SCMP_ACT_ALLOW"}`), "s390x"); err == nil {
		t.Error("s390x has no table and is taken")
	}
}

func TestFlags(t *testing.T) {
	for profile, want := range map[string]uint32{
		`{"defaultAction": "SCMP_ACT_ALLOW"}`: unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW,
		`{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG"]}`: unix.SECCOMP_FILTER_FLAG_LOG,
		`{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"], "listenerPath": "/a",
			"syscalls": [{"names": ["chdir"], "action": "SCMP_ACT_NOTIFY"}]}`: unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
	} {
		f, err := Compile(parse(t, profile), "amd64")
		if err != nil || f.Flags != want || f.Notify != strings.Contains(profile, "NOTIFY") {
			t.Errorf("%s: %+v, %v; want flags %d", profile, f, err, want)
		}
	}
}

// An empty list is a choice: no flags. Where the list is missing, runc's default
// is meant.
func TestNoFlags(t *testing.T) {
	f, err := Compile(&spec.Seccomp{DefaultAction: "SCMP_ACT_ALLOW", Flags: []string{}}, "amd64")
	if err != nil || f.Flags != 0 {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestNoFilter(t *testing.T) {
	for _, s := range []*spec.Seccomp{nil, {}, {Architectures: []string{"SCMP_ARCH_X86"}}} {
		f, err := Compile(s, "amd64")
		if err != nil || len(f.Program) != 0 || !f.Allows(unix.SYS_WRITE) {
			t.Errorf("%+v: %+v, %v", s, f, err)
		}
	}
}

// TestOverlap holds which rule wins where several hold: libseccomp's choice.
func TestOverlap(t *testing.T) {
	arg := func(index uint32, op string, value uint64) spec.SeccompArg {
		return spec.SeccompArg{Index: index, Op: "SCMP_CMP_" + op, Value: value}
	}
	log := func(args ...spec.SeccompArg) spec.SeccompRule {
		return spec.SeccompRule{Names: []string{"dup3"}, Action: "SCMP_ACT_LOG", Args: args}
	}
	trap := func(args ...spec.SeccompArg) spec.SeccompRule {
		return spec.SeccompRule{Names: []string{"dup3"}, Action: "SCMP_ACT_TRAP", Args: args}
	}
	const isLog, isTrap, isDefault = 0x7ffc0000, 0x30000, 0x50001
	for _, test := range []struct {
		name  string
		rules []spec.SeccompRule
		args  [6]uint64
		want  uint32
	}{
		{"the first without conditions", []spec.SeccompRule{log(), trap()}, [6]uint64{}, isLog},
		{"without conditions beats conditions", []spec.SeccompRule{log(arg(0, "EQ", 0)), trap()}, [6]uint64{}, isTrap},
		{"equality beats order", []spec.SeccompRule{log(arg(0, "GE", 0)), trap(arg(0, "EQ", 8))}, [6]uint64{8}, isTrap},
		{"equality beats order, added first", []spec.SeccompRule{trap(arg(0, "EQ", 8)), log(arg(0, "GE", 0))}, [6]uint64{8}, isTrap},
		{"order where equality fails", []spec.SeccompRule{trap(arg(0, "EQ", 8)), log(arg(0, "GE", 0))}, [6]uint64{9}, isLog},
		{"a later argument first", []spec.SeccompRule{log(arg(0, "EQ", 1)), trap(arg(1, "EQ", 1))}, [6]uint64{1, 1}, isTrap},
		{"the higher bound", []spec.SeccompRule{log(arg(0, "GT", 3)), trap(arg(0, "GT", 5))}, [6]uint64{9}, isTrap},
		{"the lower bound", []spec.SeccompRule{log(arg(0, "LT", 9)), trap(arg(0, "LT", 5))}, [6]uint64{1}, isTrap},
		{"two conditions on one argument: either", []spec.SeccompRule{log(arg(0, "LT", 3), arg(0, "GT", 7))}, [6]uint64{9}, isLog},
		{"two conditions on one argument: neither", []spec.SeccompRule{log(arg(0, "LT", 3), arg(0, "GT", 7))}, [6]uint64{5}, isDefault},
		{"two arguments: both", []spec.SeccompRule{log(arg(0, "LT", 3), arg(1, "GT", 7))}, [6]uint64{2, 8}, isLog},
		{"two arguments: one", []spec.SeccompRule{log(arg(0, "LT", 3), arg(1, "GT", 7))}, [6]uint64{2, 7}, isDefault},
		{"an empty mask is no condition", []spec.SeccompRule{trap(arg(0, "EQ", 1)), log(arg(2, "MASKED_EQ", 0))}, [6]uint64{1}, isLog},
		{"the default action's own rule counts for nothing", []spec.SeccompRule{
			{Names: []string{"dup3"}, Action: "SCMP_ACT_ERRNO"}, log()}, [6]uint64{}, isLog},
	} {
		f, err := Compile(&spec.Seccomp{DefaultAction: "SCMP_ACT_ERRNO", Syscalls: test.rules}, "amd64")
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		nr, _ := numberOf("dup3", "SCMP_ARCH_X86_64")
		got, err := interpret(f.Program, systemCall{nr: nr, arch: 0xc000003e, args: test.args})
		if err != nil || got != test.want {
			t.Errorf("%s: %#x, %v; want %#x", test.name, got, err, test.want)
		}
	}
}

// TestLong makes programs whose jumps reach farther than an instruction can say,
// and some that no kernel takes.
func TestLong(t *testing.T) {
	for n := range 40 {
		s := &spec.Seccomp{DefaultAction: "SCMP_ACT_ERRNO", Architectures: []string{"SCMP_ARCH_X86", "SCMP_ARCH_X32"}}
		for i := range 8 * n {
			errno := uint32(i%7 + 2)
			s.Syscalls = append(s.Syscalls, spec.SeccompRule{
				Names: []string{calls[i].name}, Action: "SCMP_ACT_ERRNO", ErrnoRet: &errno,
				Args: []spec.SeccompArg{
					{Index: 1, Op: "SCMP_CMP_GT", Value: uint64(i) << 31},
					{Index: 2, Op: "SCMP_CMP_MASKED_EQ", Value: 1 << i, ValueTwo: uint64(i)},
				},
			})
		}
		f, err := Compile(s, "amd64")
		if err != nil {
			if n < 10 || !strings.Contains(err.Error(), "instructions or more and the kernel takes 4096") {
				t.Fatal(n, err)
			}
			continue
		}
		verify(t, f)
		if n == 39 {
			t.Error("nothing was too long")
		}
		r := random{rand.New(rand.NewPCG(uint64(n), 3))}
		for range 300 {
			compare(t, s, "amd64", f, r.call(s))
		}
	}
}

// TestBounded holds that a hostile profile costs no more than its length.
func TestBounded(t *testing.T) {
	s := &spec.Seccomp{DefaultAction: "SCMP_ACT_ERRNO"}
	for i := range 200000 {
		s.Syscalls = append(s.Syscalls, spec.SeccompRule{
			Names: []string{"read"}, Action: "SCMP_ACT_ALLOW",
			Args: []spec.SeccompArg{{Op: "SCMP_CMP_EQ", Value: uint64(i)}},
		})
	}
	if _, err := Compile(s, "amd64"); err == nil || !strings.Contains(err.Error(), "4096") {
		t.Error(err)
	}
}

func TestNumbersSorted(t *testing.T) {
	for i := range calls {
		if find(calls[i].name) != i {
			t.Errorf("calls[%d] %s is not found", i, calls[i].name)
		}
	}
	for _, name := range []string{"", "a", "read ", "zzz", "READ"} {
		if find(name) >= 0 {
			t.Errorf("%q is found", name)
		}
	}
}

func FuzzCompile(f *testing.F) {
	for i, text := range []string{
		`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["kill","dup3"],"action":"SCMP_ACT_KILL_PROCESS","args":[{"index":0,"value":4294967297,"op":"SCMP_CMP_LT"},{"index":0,"value":9,"op":"SCMP_CMP_GE"}]}]}`,
		`{"defaultAction":"SCMP_ACT_TRAP","architectures":["SCMP_ARCH_X86","SCMP_ARCH_ARM"],"syscalls":[{"names":["socket","semop","cacheflush"],"action":"SCMP_ACT_TRACE","errnoRet":7,"args":[{"index":1,"value":2130837504,"valueTwo":131072,"op":"SCMP_CMP_MASKED_EQ"}]}]}`,
		`{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"architectures":["SCMP_ARCH_X32"],"listenerPath":"/run/agent","flags":["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],"syscalls":[{"names":["read","ioctl"],"action":"SCMP_ACT_LOG"},{"names":["ioctl","mknod"],"action":"SCMP_ACT_NOTIFY","args":[{"index":5,"value":18446744073709551615,"op":"SCMP_CMP_NE"}]}]}`,
	} {
		f.Add(text, uint64(i))
	}
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		c, err := spec.Decode(config(text))
		if err != nil || c.Linux.Seccomp == nil {
			return
		}
		s := c.Linux.Seccomp
		native := []string{"amd64", "arm64", "riscv64"}[seed%3]
		filter, err := Compile(s, native)
		if err != nil {
			if refused := new(spec.Error); !errors.As(err, &refused) || !strings.HasPrefix(refused.Pointer, "linux.seccomp.") {
				t.Fatalf("not a refusal of linux.seccomp: %v", err)
			}
			return
		}
		if len(filter.Program) == 0 {
			return
		}
		verify(t, filter)
		r := random{rand.New(rand.NewPCG(seed, 5))}
		for range 20 {
			compare(t, s, native, filter, r.call(s))
		}
	})
}

func BenchmarkCompile(b *testing.B) {
	for _, native := range []string{"amd64", "arm64", "riscv64"} {
		b.Run("docker/"+native, func(b *testing.B) {
			s := docker(b)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				f, err := Compile(s, native)
				if err != nil {
					b.Fatal(err)
				}
				n = len(f.Program) / instructionSize
			}
			b.ReportMetric(float64(n), "instructions")
		})
	}
}

// docker is Docker's default profile for amd64 with its default capabilities.
func docker(t testing.TB) *spec.Seccomp {
	text, err := os.ReadFile("testdata/docker-default.json")
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(text))
}
