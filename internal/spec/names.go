package spec

import (
	"errors"
	"slices"
	"strings"

	"ostia/internal/typo"

	"golang.org/x/sys/unix"
)

// Version is the version of the runtime specification that ostia implements.
const Version = "1.3.0"

// capabilityNames are the names of capabilities(7) by number.
var capabilityNames = [...]string{
	unix.CAP_CHOWN: "CAP_CHOWN", unix.CAP_DAC_OVERRIDE: "CAP_DAC_OVERRIDE", unix.CAP_DAC_READ_SEARCH: "CAP_DAC_READ_SEARCH",
	unix.CAP_FOWNER: "CAP_FOWNER", unix.CAP_FSETID: "CAP_FSETID", unix.CAP_KILL: "CAP_KILL", unix.CAP_SETGID: "CAP_SETGID",
	unix.CAP_SETUID: "CAP_SETUID", unix.CAP_SETPCAP: "CAP_SETPCAP", unix.CAP_LINUX_IMMUTABLE: "CAP_LINUX_IMMUTABLE",
	unix.CAP_NET_BIND_SERVICE: "CAP_NET_BIND_SERVICE", unix.CAP_NET_BROADCAST: "CAP_NET_BROADCAST",
	unix.CAP_NET_ADMIN: "CAP_NET_ADMIN", unix.CAP_NET_RAW: "CAP_NET_RAW", unix.CAP_IPC_LOCK: "CAP_IPC_LOCK",
	unix.CAP_IPC_OWNER: "CAP_IPC_OWNER", unix.CAP_SYS_MODULE: "CAP_SYS_MODULE", unix.CAP_SYS_RAWIO: "CAP_SYS_RAWIO",
	unix.CAP_SYS_CHROOT: "CAP_SYS_CHROOT", unix.CAP_SYS_PTRACE: "CAP_SYS_PTRACE", unix.CAP_SYS_PACCT: "CAP_SYS_PACCT",
	unix.CAP_SYS_ADMIN: "CAP_SYS_ADMIN", unix.CAP_SYS_BOOT: "CAP_SYS_BOOT", unix.CAP_SYS_NICE: "CAP_SYS_NICE",
	unix.CAP_SYS_RESOURCE: "CAP_SYS_RESOURCE", unix.CAP_SYS_TIME: "CAP_SYS_TIME", unix.CAP_SYS_TTY_CONFIG: "CAP_SYS_TTY_CONFIG",
	unix.CAP_MKNOD: "CAP_MKNOD", unix.CAP_LEASE: "CAP_LEASE", unix.CAP_AUDIT_WRITE: "CAP_AUDIT_WRITE",
	unix.CAP_AUDIT_CONTROL: "CAP_AUDIT_CONTROL", unix.CAP_SETFCAP: "CAP_SETFCAP", unix.CAP_MAC_OVERRIDE: "CAP_MAC_OVERRIDE",
	unix.CAP_MAC_ADMIN: "CAP_MAC_ADMIN", unix.CAP_SYSLOG: "CAP_SYSLOG", unix.CAP_WAKE_ALARM: "CAP_WAKE_ALARM",
	unix.CAP_BLOCK_SUSPEND: "CAP_BLOCK_SUSPEND", unix.CAP_AUDIT_READ: "CAP_AUDIT_READ", unix.CAP_PERFMON: "CAP_PERFMON",
	unix.CAP_BPF: "CAP_BPF", unix.CAP_CHECKPOINT_RESTORE: "CAP_CHECKPOINT_RESTORE",
}

// CapabilityName is the name of a capability's number, "" for one that is not
// known.
func CapabilityName(bit int) string {
	if bit < 0 || bit >= len(capabilityNames) {
		return ""
	}
	return capabilityNames[bit]
}

// CapabilityBit is the number of a capability's name.
func CapabilityBit(name string) (int, bool) {
	for i, n := range capabilityNames {
		if n == name {
			return i, true
		}
	}
	return 0, false
}

// UnknownCapability is the error for a name that is none.
func UnknownCapability(name string) error {
	near := typo.Nearest(strings.ToUpper(name), slices.Values(capabilityNames[:]))
	if near != "" {
		return errors.New("no such capability: did you mean " + near + "?")
	}
	return errors.New("no such capability: see capabilities(7)")
}

// rlimitNames are the names of getrlimit(2) by number, the same on every
// architecture that ostia is built for.
var rlimitNames = [...]string{
	"RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CORE", "RLIMIT_RSS", "RLIMIT_NPROC", "RLIMIT_NOFILE",
	"RLIMIT_MEMLOCK", "RLIMIT_AS", "RLIMIT_LOCKS", "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_RTPRIO", "RLIMIT_RTTIME",
}

// RlimitName is the name of a limit's number.
func RlimitName(n int) string {
	if n < 0 || n >= len(rlimitNames) {
		return ""
	}
	return rlimitNames[n]
}

// RlimitByName is the number of a limit's name.
func RlimitByName(name string) (int, bool) {
	for i, n := range rlimitNames {
		if n == name {
			return i, true
		}
	}
	return 0, false
}

// namespaceFlags are the kinds of namespaces by their names in a
// configuration.
var namespaceFlags = [...]struct {
	name string
	flag uint64
}{
	{"pid", unix.CLONE_NEWPID}, {"network", unix.CLONE_NEWNET}, {"mount", unix.CLONE_NEWNS}, {"ipc", unix.CLONE_NEWIPC},
	{"uts", unix.CLONE_NEWUTS}, {"user", unix.CLONE_NEWUSER}, {"cgroup", unix.CLONE_NEWCGROUP}, {"time", unix.CLONE_NEWTIME},
}

// NamespaceFlag is the CLONE_NEW* bit of a kind of namespace.
func NamespaceFlag(name string) (uint64, bool) {
	for _, n := range namespaceFlags {
		if n.name == name {
			return n.flag, true
		}
	}
	return 0, false
}

// namespaceName is the name of a kind of namespace.
func namespaceName(flag uint64) string {
	for _, n := range namespaceFlags {
		if n.flag == flag {
			return n.name
		}
	}
	return ""
}

// NamespaceNames are the kinds of namespaces.
func NamespaceNames() []string {
	list := make([]string, len(namespaceFlags))
	for i, n := range namespaceFlags {
		list[i] = n.name
	}
	return list
}

// schedulerPolicies are the names of sched(7)'s policies by number.
func schedulerPolicy(name string) (uint32, bool) {
	switch name {
	case "SCHED_OTHER":
		return unix.SCHED_NORMAL, true
	case "SCHED_FIFO":
		return unix.SCHED_FIFO, true
	case "SCHED_RR":
		return unix.SCHED_RR, true
	case "SCHED_BATCH":
		return unix.SCHED_BATCH, true
	case "SCHED_ISO":
		return 4, true
	case "SCHED_IDLE":
		return unix.SCHED_IDLE, true
	case "SCHED_DEADLINE":
		return unix.SCHED_DEADLINE, true
	}
	return 0, false
}

// schedulerFlag is a flag of sched_setattr(2) by its name.
func schedulerFlag(name string) (uint64, bool) {
	switch name {
	case "SCHED_FLAG_RESET_ON_FORK":
		return unix.SCHED_FLAG_RESET_ON_FORK, true
	case "SCHED_FLAG_RECLAIM":
		return unix.SCHED_FLAG_RECLAIM, true
	case "SCHED_FLAG_DL_OVERRUN":
		return unix.SCHED_FLAG_DL_OVERRUN, true
	case "SCHED_FLAG_KEEP_POLICY":
		return unix.SCHED_FLAG_KEEP_POLICY, true
	case "SCHED_FLAG_KEEP_PARAMS":
		return unix.SCHED_FLAG_KEEP_PARAMS, true
	case "SCHED_FLAG_UTIL_CLAMP_MIN":
		return unix.SCHED_FLAG_UTIL_CLAMP_MIN, true
	case "SCHED_FLAG_UTIL_CLAMP_MAX":
		return unix.SCHED_FLAG_UTIL_CLAMP_MAX, true
	}
	return 0, false
}

// ioClass is a class of ioprio_set(2) by its name.
func ioClass(name string) (int, bool) {
	switch name {
	case "IOPRIO_CLASS_RT":
		return 1, true
	case "IOPRIO_CLASS_BE":
		return 2, true
	case "IOPRIO_CLASS_IDLE":
		return 3, true
	}
	return 0, false
}
