package entrypoint

import (
	"encoding/binary"
	"math/bits"
	"strconv"
)

// A CapabilityReader is a [Prober] that knows the file capabilities of a
// program and what the process may have of them. execve(2) fails with EPERM for
// a file whose effective capabilities the process may not all have, and
// AT_EXECVE_CHECK does not foresee it.
type CapabilityReader interface {
	// FileCapabilities is the extended attribute security.capability of the file
	// that path leads to, nil if there is none or if it has no effect (a nosuid
	// mount), and the bounding and inheritable sets of the process.
	FileCapabilities(path string) (attribute []byte, bounding, inheritable uint64)
}

// excess is the set of effective file capabilities that the process may not
// have, as the kernel's security/commoncap.c finds it.
func excess(attribute []byte, bounding, inheritable uint64) uint64 {
	const effective = 1
	words := 0
	if len(attribute) >= 4 {
		switch binary.LittleEndian.Uint32(attribute) &^ effective {
		case 0x01000000:
			words = 1
		case 0x02000000, 0x03000000:
			words = 2
		}
	}
	if words == 0 || len(attribute) < 4+8*words || attribute[0]&effective == 0 {
		return 0
	}
	var permitted, inherited uint64
	for i := range words {
		permitted |= uint64(binary.LittleEndian.Uint32(attribute[4+8*i:])) << (32 * i)
		inherited |= uint64(binary.LittleEndian.Uint32(attribute[8+8*i:])) << (32 * i)
	}
	permitted &= 1<<len(capabilityNames) - 1 // the kernel ignores those that it does not know
	return permitted &^ (permitted&bounding | inherited&inheritable)
}

// excessive is the reason for a file with capabilities in excess.
func excessive(set uint64) string {
	names := ""
	for ; set != 0; set &= set - 1 {
		if names != "" {
			names += ", "
		}
		if len(names) > 60 {
			names += "and " + strconv.Itoa(bits.OnesCount64(set)) + " more"
			break
		}
		names += "cap_" + capabilityNames[bits.TrailingZeros64(set)]
	}
	return "its file capabilities (getcap) hold " + names + ", which the bounding set of the process does not"
}

// capabilityNames are those of capabilities(7), by number.
var capabilityNames = [...]string{
	"chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
	"linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
	"sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
	"sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
	"mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
	"checkpoint_restore",
}
