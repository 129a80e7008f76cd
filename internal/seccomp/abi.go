package seccomp

//go:generate go run gen/main.go

import "golang.org/x/sys/unix"

// The columns of calls.
const (
	amd64 = iota
	x32
	i386
	arm64
	arm
	riscv64
	columns
)

// call is a system call: its slot in each ABI, none where the ABI lacks it, and
// its place in the i386 multiplexers, 0 for none.
type call struct {
	name  string
	slots [columns]uint16
	mux   uint16
}

const (
	none = 0xffff
	// Slots are numbers below slotEnd; those of arm's private calls, 0xf0001 to
	// 0xf0006, begin after armPrivate.
	slotEnd    = 1024
	armPrivate = 1000
	// A mux is one of these and the number that is the multiplexer's first argument.
	socketcall = 0x100
	ipc        = 0x200
)

// abi is a way to make system calls that a kernel reports to its filters.
type abi struct {
	name   string // of linux.seccomp.architectures
	audit  uint32
	column int
	wide   bool   // arguments have 64 bits; else the low half is compared
	bit    uint32 // set in every number
}

const x32Bit = 0x40000000

// abis are what the kernel of a native architecture (a GOARCH) reports: its own
// ABI first, then the ABIs of its compat mode. Others, which a profile may list
// as well, can never be reported, so no code is made for them.
func abis(native string) []abi {
	switch native {
	case "amd64":
		return []abi{
			{"SCMP_ARCH_X86_64", unix.AUDIT_ARCH_X86_64, amd64, true, 0},
			{"SCMP_ARCH_X32", unix.AUDIT_ARCH_X86_64, x32, false, x32Bit},
			{"SCMP_ARCH_X86", unix.AUDIT_ARCH_I386, i386, false, 0},
		}
	case "arm64":
		return []abi{
			{"SCMP_ARCH_AARCH64", unix.AUDIT_ARCH_AARCH64, arm64, true, 0},
			{"SCMP_ARCH_ARM", unix.AUDIT_ARCH_ARM, arm, false, 0},
		}
	case "riscv64":
		return []abi{{"SCMP_ARCH_RISCV64", unix.AUDIT_ARCH_RISCV64, riscv64, true, 0}}
	}
	return nil
}

// number is the system call number of a slot.
func (a *abi) number(slot int) uint32 {
	if slot >= armPrivate {
		return uint32(0xf0000 + slot - armPrivate)
	}
	return uint32(slot) | a.bit
}

// knownArchitecture tells whether the runtime specification has the name.
func knownArchitecture(name string) bool {
	switch name {
	case "SCMP_ARCH_X86", "SCMP_ARCH_X86_64", "SCMP_ARCH_X32", "SCMP_ARCH_ARM", "SCMP_ARCH_AARCH64",
		"SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32",
		"SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32",
		"SCMP_ARCH_PPC", "SCMP_ARCH_PPC64", "SCMP_ARCH_PPC64LE", "SCMP_ARCH_S390", "SCMP_ARCH_S390X",
		"SCMP_ARCH_PARISC", "SCMP_ARCH_PARISC64", "SCMP_ARCH_RISCV64", "SCMP_ARCH_LOONGARCH64",
		"SCMP_ARCH_M68K", "SCMP_ARCH_SH", "SCMP_ARCH_SHEB":
		return true
	}
	return false
}

// find returns the index in calls of a name, -1 if no ABI has it.
func find(name string) int {
	low, high := 0, len(calls)
	for low < high {
		mid := int(uint(low+high) >> 1)
		if calls[mid].name < name {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low < len(calls) && calls[low].name == name {
		return low
	}
	return -1
}
