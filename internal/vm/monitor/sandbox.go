package monitor

import (
	"fmt"
	"runtime"
	"unsafe"

	"ostia/internal/seccomp"
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// forbidden are system calls that neither this process nor the Go runtime has a
// use for once the machine is built. A guest that has taken over the monitor
// would have.
var forbidden = []string{
	"execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd", "process_madvise",
	"mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr",
	"setns", "unshare", "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register",
	"init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff", "acct", "quotactl",
	"add_key", "request_key", "keyctl", "open_by_handle_at", "name_to_handle_at", "syslog", "personality", "iopl", "ioperm", "modify_ldt",
	"settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "stime", "sethostname", "setdomainname",
	"socket", "socketpair", "connect", "bind", "listen", "mknod", "memfd_secret", "lookup_dcookie", "nfsservctl", "vhangup",
}

// restrict loads a filter that refuses them on every thread. no_new_privs is
// set already.
func restrict() error {
	f, err := seccomp.Compile(&spec.Seccomp{
		DefaultAction: "SCMP_ACT_ALLOW",
		Syscalls:      []spec.SeccompRule{{Names: forbidden, Action: "SCMP_ACT_ERRNO"}},
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
