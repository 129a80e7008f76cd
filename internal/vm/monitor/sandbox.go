package monitor

import (
	"fmt"
	"runtime"
	"unsafe"

	"ostia/internal/seccomp"
	"ostia/internal/spec"
	"ostia/internal/vm/kvm"

	"golang.org/x/sys/unix"
)

// allowed are the system calls that this process and the Go runtime make once
// the machine is built. A guest that has taken over the monitor has no others.
var allowed = []string{
	// Descriptors and the tree.
	"read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "lseek", "close", "fcntl", "open", "openat", "openat2",
	"fstat", "newfstatat", "statx", "statfs", "fstatfs", "getdents64", "readlinkat", "faccessat", "faccessat2",
	"mkdirat", "mknodat", "symlinkat", "linkat", "unlinkat", "renameat2", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchownat", "utimensat",
	"ftruncate", "fallocate", "fsync", "fdatasync", "syncfs", "copy_file_range", "flock",
	"getxattr", "setxattr", "listxattr", "removexattr", "fgetxattr", "fsetxattr", "flistxattr", "fremovexattr",
	// A file is made as its user.
	"setfsuid", "setfsgid", "capget", "capset",
	// Connections of proxies, which they have made.
	"accept4", "recvmsg", "recvfrom", "sendmsg", "sendto", "shutdown", "getsockname", "getpeername", "getsockopt", "setsockopt",
	"poll", "ppoll", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "eventfd2", "pipe2",
	// Threads, time, memory and signals.
	"futex", "sched_yield", "sched_getaffinity", "gettid", "getpid", "tgkill", "exit", "exit_group", "restart_syscall",
	"clock_gettime", "clock_nanosleep", "nanosleep", "gettimeofday", "munmap", "madvise", "mincore", "getrandom",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack",
}

// conditional are the calls whose arguments matter.
func conditional() (rules []spec.SeccompRule) {
	add := func(name string, index uint32, op string, value, valueTwo uint64) {
		rules = append(rules, spec.SeccompRule{Names: []string{name}, Action: "SCMP_ACT_ALLOW",
			Args: []spec.SeccompArg{{Index: index, Op: op, Value: value, ValueTwo: valueTwo}}})
	}
	for _, request := range [...]uint64{kvm.Run, kvm.GetRegs, unix.TUNSETOFFLOAD, unix.TCGETS, unix.TCSETS, unix.TIOCGWINSZ} {
		add("ioctl", 1, "SCMP_CMP_EQ", request, 0)
	}
	add("clone", 0, "SCMP_CMP_MASKED_EQ", unix.CLONE_THREAD, unix.CLONE_THREAD) // no process
	for _, name := range [...]string{"mmap", "mprotect"} {
		add(name, 2, "SCMP_CMP_MASKED_EQ", unix.PROT_EXEC, 0) // no new code
	}
	return rules
}

// restrict loads a filter that refuses all else on every thread, after the
// rules of Landlock. no_new_privs is set already. read are folders besides the
// container's tree.
func restrict(read ...int) error {
	if err := confine(read...); err != nil {
		return err
	}
	f, err := seccomp.Compile(&spec.Seccomp{
		DefaultAction: "SCMP_ACT_ERRNO",
		Syscalls:      append(conditional(), spec.SeccompRule{Names: allowed, Action: "SCMP_ACT_ALLOW"}),
	}, runtime.GOARCH)
	if err != nil {
		return fmt.Errorf("the monitor's seccomp filter: %w", err)
	}
	program := unix.SockFprog{Len: uint16(len(f.Program) / 8), Filter: (*unix.SockFilter)(unsafe.Pointer(&f.Program[0]))}
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if e != 0 {
		return fmt.Errorf("the monitor's seccomp filter: %w", e)
	}
	return nil
}
