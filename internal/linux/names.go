package linux

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// SyscallName is the name of a system call that a plan may use.
func SyscallName(nr int) string {
	switch nr {
	case unix.SYS_CAPSET:
		return "capset"
	case unix.SYS_CHDIR:
		return "chdir"
	case unix.SYS_CHROOT:
		return "chroot"
	case unix.SYS_CLOCK_GETTIME:
		return "clock_gettime"
	case unix.SYS_CLONE:
		return "clone"
	case unix.SYS_CLOSE:
		return "close"
	case unix.SYS_CLOSE_RANGE:
		return "close_range"
	case unix.SYS_DUP3:
		return "dup3"
	case unix.SYS_EXECVE:
		return "execve"
	case unix.SYS_EXECVEAT:
		return "execveat"
	case unix.SYS_EXIT_GROUP:
		return "exit_group"
	case unix.SYS_FACCESSAT2:
		return "faccessat2"
	case unix.SYS_FCHDIR:
		return "fchdir"
	case unix.SYS_FCHOWN:
		return "fchown"
	case unix.SYS_FCHOWNAT:
		return "fchownat"
	case unix.SYS_FSCONFIG:
		return "fsconfig"
	case unix.SYS_FSMOUNT:
		return "fsmount"
	case unix.SYS_FSOPEN:
		return "fsopen"
	case unix.SYS_FSTAT:
		return "fstat"
	case unix.SYS_FSTATFS:
		return "fstatfs"
	case unix.SYS_IOCTL:
		return "ioctl"
	case unix.SYS_IOPRIO_SET:
		return "ioprio_set"
	case unix.SYS_KEYCTL:
		return "keyctl"
	case unix.SYS_KILL:
		return "kill"
	case unix.SYS_LSEEK:
		return "lseek"
	case unix.SYS_MKDIRAT:
		return "mkdirat"
	case unix.SYS_MKNODAT:
		return "mknodat"
	case unix.SYS_MOUNT:
		return "mount"
	case unix.SYS_MOUNT_SETATTR:
		return "mount_setattr"
	case unix.SYS_MOVE_MOUNT:
		return "move_mount"
	case unix.SYS_NEWFSTATAT:
		return "newfstatat"
	case unix.SYS_OPENAT:
		return "openat"
	case unix.SYS_OPENAT2:
		return "openat2"
	case unix.SYS_OPEN_TREE:
		return "open_tree"
	case unix.SYS_PERSONALITY:
		return "personality"
	case unix.SYS_PIVOT_ROOT:
		return "pivot_root"
	case unix.SYS_PPOLL:
		return "ppoll"
	case unix.SYS_PRCTL:
		return "prctl"
	case unix.SYS_PRLIMIT64:
		return "prlimit64"
	case unix.SYS_READ:
		return "read"
	case unix.SYS_SCHED_SETATTR:
		return "sched_setattr"
	case unix.SYS_SECCOMP:
		return "seccomp"
	case unix.SYS_SENDMSG:
		return "sendmsg"
	case unix.SYS_SETDOMAINNAME:
		return "setdomainname"
	case unix.SYS_SETGROUPS:
		return "setgroups"
	case unix.SYS_SETHOSTNAME:
		return "sethostname"
	case unix.SYS_SETNS:
		return "setns"
	case unix.SYS_SETRESGID:
		return "setresgid"
	case unix.SYS_SETRESUID:
		return "setresuid"
	case unix.SYS_SETSID:
		return "setsid"
	case unix.SYS_SOCKET:
		return "socket"
	case unix.SYS_SYMLINKAT:
		return "symlinkat"
	case unix.SYS_UMASK:
		return "umask"
	case unix.SYS_UMOUNT2:
		return "umount2"
	case unix.SYS_UNSHARE:
		return "unshare"
	case unix.SYS_WAIT4:
		return "wait4"
	case unix.SYS_WRITE:
		return "write"
	}
	return "syscall " + strconv.Itoa(nr)
}
