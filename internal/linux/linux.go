// Package linux owns the system calls and constants that golang.org/x/sys/unix
// lacks, and the probes of what the running kernel offers.
package linux

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// AT_EXECVE_CHECK asks execveat(2) whether a file may be executed, without
// executing it (Linux 6.14).
const AT_EXECVE_CHECK = 0x10000

// HasExecveCheck reports whether the kernel knows AT_EXECVE_CHECK: one that
// does not answers EINVAL to the flag before it looks at the descriptor.
func HasExecveCheck() bool {
	var empty [1]byte
	_, _, e := unix.RawSyscall6(unix.SYS_EXECVEAT, ^uintptr(0), uintptr(unsafe.Pointer(&empty[0])),
		0, 0, AT_EXECVE_CHECK|unix.AT_EMPTY_PATH, 0)
	return e != unix.EINVAL
}

// OPEN_TREE_NAMESPACE has open_tree(2) make a mount namespace that holds a copy
// of the tree and nothing else (Linux 7.0).
const OPEN_TREE_NAMESPACE = 1 << 1

// HasOpenTreeNamespace reports whether the kernel knows OPEN_TREE_NAMESPACE: one
// that does not answers EINVAL to the flag before it looks at the descriptor.
func HasOpenTreeNamespace() bool {
	var empty [1]byte
	_, _, e := unix.RawSyscall(unix.SYS_OPEN_TREE, ^uintptr(0), uintptr(unsafe.Pointer(&empty[0])), OPEN_TREE_NAMESPACE|unix.AT_EMPTY_PATH)
	return e != unix.EINVAL
}

// Landlock is the version of the kernel's Landlock interface: ENOSYS from a
// kernel without (before Linux 5.13, or built so), EOPNOTSUPP from one that was
// booted without.
func Landlock() (version int, err error) {
	n, _, e := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// Openat2 is openat2(2) to its end. The kernel gives up with EAGAIN a ".."
// that is confined (RESOLVE_BENEATH, RESOLVE_IN_ROOT) while anything at all is
// renamed or mounted on the machine, and tells the caller to try again. Somebody
// who renames without end is not waited for.
func Openat2(dir int, path string, how *unix.OpenHow) (int, error) {
	for tries := 255; ; tries-- {
		fd, err := unix.Openat2(dir, path, how)
		if err != unix.EINTR && (err != unix.EAGAIN || tries == 0) {
			return fd, err
		}
	}
}

// initUserNS is PROC_USER_INIT_INO, the inode of the first user namespace.
const initUserNS = 0xEFFFFFFD

// InUserNS reports whether this process runs in a user namespace other than
// the first.
func InUserNS() bool {
	var st unix.Stat_t
	return unix.Stat("/proc/self/ns/user", &st) == nil && st.Ino != initUserNS
}
