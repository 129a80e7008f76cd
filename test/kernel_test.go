package test

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"unsafe"

	"ostia/internal/linux"

	"golang.org/x/sys/unix"
)

// kernel514 is the oldest kernel that ostia promises to run on.
const kernel514 = "5.14"

// likeKernel514 has the kernel answer this process and all that it starts as
// Linux 5.14 would: ENOSYS to system calls that came later, and EINVAL to flags
// that came later of those that ostia calls. What files of cgroups there are
// cannot be had this way: the guest's kernel shows that.
func likeKernel514() error {
	if runtime.GOARCH != "amd64" {
		return unix.EOPNOTSUPP
	}
	const (
		nr, arch      = 0, 4 // of struct seccomp_data
		firstNew      = 448  // process_mrelease(2), Linux 5.15
		execveCheck   = 0x10000
		waitKillable  = unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
		refuse, allow = unix.SECCOMP_RET_ERRNO, unix.SECCOMP_RET_ALLOW
	)
	arg := func(n uint32) uint32 { return 16 + 8*n }
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	jump := func(code uint16, k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_K | code, Jt: yes, Jf: no, K: k}
	}
	end := func(k uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k} }
	program := []unix.SockFilter{
		load(arch),
		jump(unix.BPF_JEQ, unix.AUDIT_ARCH_X86_64, 1, 0),
		end(allow),
		load(nr),
		jump(unix.BPF_JGE, firstNew, 0, 1),
		end(refuse | uint32(unix.ENOSYS)),
	}
	for _, later := range []struct {
		nr    uint32
		arg   uint32
		flags uint32
	}{
		{unix.SYS_EXECVEAT, 4, execveCheck},                              // Linux 6.14
		{unix.SYS_MEMFD_CREATE, 1, unix.MFD_EXEC | unix.MFD_NOEXEC_SEAL}, // 6.3
		{unix.SYS_SECCOMP, 1, waitKillable},                              // 5.19
		{unix.SYS_OPEN_TREE, 2, 1 << 1},                                  // OPEN_TREE_NAMESPACE, 7.0
	} {
		program = append(program, jump(unix.BPF_JEQ, later.nr, 0, 4),
			load(arg(later.arg)), jump(unix.BPF_JSET, later.flags, 0, 1), end(refuse|uint32(unix.EINVAL)), end(allow))
	}
	program = append(program, end(allow))
	return filter(program)
}

// without NUMBER PROGRAM [ARG...] runs a program for which a system call, by
// its number on this machine, is not there, as under the profile of a container.
func without() {
	nr, err := strconv.ParseUint(os.Args[1], 10, 32)
	if err == nil {
		err = filter([]unix.SockFilter{
			{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
			{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(nr), Jf: 1},
			{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
			{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		})
	}
	if err == nil {
		var path string
		if path, err = exec.LookPath(os.Args[2]); err == nil {
			err = unix.Exec(path, os.Args[2:], os.Environ())
		}
	}
	fail(err)
}

// filter has the kernel judge the system calls of this process and of all that
// it starts.
func filter(program []unix.SockFilter) error {
	fprog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if _, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&fprog))); e != 0 {
		return os.NewSyscallError("seccomp", e)
	}
	return nil
}

// TestLikeKernel514 is about the pretence itself.
func TestLikeKernel514(t *testing.T) {
	if os.Getenv("LIKE_KERNEL") != kernel514 {
		t.Skip("LIKE_KERNEL is not " + kernel514)
	}
	const statmount = 457 // Linux 6.8
	if _, _, e := unix.Syscall(statmount, 0, 0, 0); e != unix.ENOSYS {
		t.Errorf("statmount: %v", e)
	}
	if linux.HasExecveCheck() {
		t.Error("execveat has AT_EXECVE_CHECK")
	}
	if _, err := unix.MemfdCreate("x", unix.MFD_EXEC); err != unix.EINVAL {
		t.Errorf("memfd_create with MFD_EXEC: %v", err)
	}
}
