package seccomp

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// A test binary with these in its environment loads the filter, makes the calls
// and writes the errno of each.
const (
	programVariable = "SECCOMP_TEST_PROGRAM"
	flagsVariable   = "SECCOMP_TEST_FLAGS"
	callsVariable   = "SECCOMP_TEST_CALLS"
)

func TestMain(m *testing.M) {
	if program := os.Getenv(programVariable); program != "" {
		filtered(program)
		return
	}
	os.Exit(m.Run())
}

func filtered(program string) {
	die := func(what string, err error) {
		fmt.Fprintln(os.Stderr, what, err)
		os.Exit(1)
	}
	code, err := hex.DecodeString(program)
	if err != nil {
		die(programVariable, err)
	}
	flags, err := strconv.ParseUint(os.Getenv(flagsVariable), 10, 32)
	if err != nil {
		die(flagsVariable, err)
	}
	var list [][7]uintptr
	for line := range strings.SplitSeq(os.Getenv(callsVariable), "\n") {
		var call [7]uintptr
		for i, word := range strings.Fields(line) {
			n, err := strconv.ParseUint(word, 0, 64)
			if err != nil {
				die(callsVariable, err)
			}
			call[i] = uintptr(n)
		}
		list = append(list, call)
	}
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		die("no_new_privs", err)
	}
	fprog := unix.SockFprog{Len: uint16(len(code) / 8), Filter: (*unix.SockFilter)(unsafe.Pointer(&code[0]))}
	if _, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(flags), uintptr(unsafe.Pointer(&fprog))); e != 0 {
		die("seccomp", e)
	}
	out := make([]byte, 0, 4*len(list))
	for _, c := range list {
		_, _, e := unix.RawSyscall6(c[0], c[1], c[2], c[3], c[4], c[5], c[6])
		out = binary.LittleEndian.AppendUint32(out, uint32(e))
	}
	if _, err := os.Stdout.Write(out); err != nil {
		die("write", err)
	}
}

// run makes the calls under the filter, in a process of their own.
func run(t *testing.T, f *Filter, list []systemCall) []unix.Errno {
	t.Helper()
	var text strings.Builder
	for i, c := range list {
		if i > 0 {
			text.WriteByte('\n')
		}
		fmt.Fprint(&text, c.nr)
		for _, arg := range c.args {
			fmt.Fprintf(&text, " %#x", arg)
		}
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), programVariable+"="+hex.EncodeToString(f.Program), flagsVariable+"="+strconv.Itoa(int(f.Flags)), callsVariable+"="+text.String())
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, stderr.Bytes())
	}
	if stdout.Len() != 4*len(list) {
		t.Fatalf("%d bytes of results for %d calls: %s", stdout.Len(), len(list), stderr.Bytes())
	}
	var errnos []unix.Errno
	for b := stdout.Bytes(); len(b) > 0; b = b[4:] {
		errnos = append(errnos, unix.Errno(binary.LittleEndian.Uint32(b)))
	}
	return errnos
}

func TestKernelDocker(t *testing.T) {
	f, err := Compile(docker(t), runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	const anyFamily, vsock = unix.AF_UNIX, unix.AF_VSOCK
	cases := []struct {
		name string
		call systemCall
		want unix.Errno
	}{
		{"getpid", systemCall{nr: unix.SYS_GETPID}, 0},
		{"close", systemCall{nr: unix.SYS_CLOSE, args: [6]uint64{1 << 20}}, unix.EBADF},
		{"personality, read", systemCall{nr: unix.SYS_PERSONALITY, args: [6]uint64{0xffffffff}}, 0},
		{"personality, odd", systemCall{nr: unix.SYS_PERSONALITY, args: [6]uint64{0x40000}}, unix.EPERM},
		{"socket, unix", systemCall{nr: unix.SYS_SOCKET, args: [6]uint64{anyFamily, unix.SOCK_STREAM}}, 0},
		{"socket, vsock", systemCall{nr: unix.SYS_SOCKET, args: [6]uint64{vsock, unix.SOCK_STREAM}}, unix.EPERM},
		{"unshare", systemCall{nr: unix.SYS_UNSHARE, args: [6]uint64{unix.CLONE_NEWUSER}}, unix.EPERM},
		{"clone, new user namespace", systemCall{nr: unix.SYS_CLONE, args: [6]uint64{unix.CLONE_NEWUSER}}, unix.EPERM},
		{"clone3", systemCall{nr: unix.SYS_CLONE3}, unix.ENOSYS},
		{"mount", systemCall{nr: unix.SYS_MOUNT}, unix.EPERM},
		{"a call to come", systemCall{nr: 900}, unix.ENOSYS},
	}
	var list []systemCall
	for _, c := range cases {
		list = append(list, c.call)
	}
	for i, got := range run(t, f, list) {
		if got != cases[i].want {
			t.Errorf("%s: %v, want %v", cases[i].name, got, cases[i].want)
		}
	}
}

// TestKernelConditions has the kernel evaluate conditions on calls that it does
// not implement, and compares with the interpreter, which the other tests rely on.
func TestKernelConditions(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the unimplemented calls are those of amd64")
	}
	unimplemented := []string{"afs_syscall", "tuxcall", "security", "vserver", "getpmsg", "putpmsg"}
	operators := []string{"SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_GT", "SCMP_CMP_GE", "SCMP_CMP_MASKED_EQ"}
	filtered := 0
	for seed := range uint64(10) {
		r := random{rand.New(rand.NewPCG(seed, 3))}
		s := &spec.Seccomp{DefaultAction: "SCMP_ACT_ALLOW"}
		for i := range 40 {
			errno := uint32(1000 + i)
			rule := spec.SeccompRule{Names: []string{pick(r, unimplemented...)}, Action: "SCMP_ACT_ERRNO", ErrnoRet: &errno}
			for range pick(r, 1, 1, 2, 3) {
				rule.Args = append(rule.Args, spec.SeccompArg{Index: uint32(r.IntN(6)), Value: r.number(), ValueTwo: r.number(), Op: pick(r, operators...)})
			}
			s.Syscalls = append(s.Syscalls, rule)
		}
		f, err := Compile(s, "amd64")
		if err != nil {
			continue // two rules have the same conditions
		}
		var list []systemCall
		for range 300 {
			c := r.call(s)
			c.arch = unix.AUDIT_ARCH_X86_64
			c.nr, _ = numberOf(pick(r, unimplemented...), "SCMP_ARCH_X86_64")
			list = append(list, c)
		}
		for i, got := range run(t, f, list) {
			value, err := interpret(f.Program, list[i])
			if err != nil {
				t.Fatal(err)
			}
			want := unix.ENOSYS // the kernel's own
			if value != unix.SECCOMP_RET_ALLOW {
				want = unix.Errno(value & unix.SECCOMP_RET_DATA)
				filtered++
			}
			if got != want {
				t.Fatalf("seed %d, %v: %d, want %d", seed, list[i], got, want)
			}
		}
	}
	if filtered < 300 {
		t.Errorf("only %d calls met a condition", filtered)
	}
}
