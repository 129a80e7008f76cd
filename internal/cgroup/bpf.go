package cgroup

import (
	"runtime"
	"unsafe"

	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// instruction is struct bpf_insn.
type instruction struct {
	code byte
	regs byte // destination in the low half, source in the high one
	off  int16
	imm  int32
}

// The registers of a device program: the context in r1 (struct
// bpf_cgroup_dev_ctx), its parts in r2 to r5, the verdict in r0.
const (
	regVerdict = 0
	regContext = 1
	regType    = 2
	regAccess  = 3 // what no rule has allowed yet
	regMajor   = 4
	regMinor   = 5
)

// program asks the rules from the last to the first. An allowing rule takes
// its kinds of access off; nothing left is a yes. A denying rule that has one
// of those left is a no. The order of the jumps is from the one that decides
// most often.
func (f *deviceFilter) program() []instruction {
	const jne32 = unix.BPF_JMP32 | unix.BPF_JNE | unix.BPF_K // Linux 5.1
	p := make([]instruction, 0, 10+7*len(f.rules))
	load := func(reg byte, off int16) {
		p = append(p, instruction{code: unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W, regs: reg | regContext<<4, off: off})
	}
	alu := func(code, reg byte, imm int32) {
		p = append(p, instruction{code: unix.BPF_ALU | unix.BPF_K | code, regs: reg, imm: imm})
	}
	verdict := func(allow bool) {
		v := int32(0)
		if allow {
			v = 1
		}
		alu(unix.BPF_MOV, regVerdict, v)
		p = append(p, instruction{code: unix.BPF_JMP | unix.BPF_EXIT})
	}
	load(regType, 0) // access_type: type in the low half, access in the high one
	load(regMajor, 4)
	load(regMinor, 8)
	alu(unix.BPF_MOV|unix.BPF_X, regAccess|regType<<4, 0)
	alu(unix.BPF_AND, regType, 0xffff)
	alu(unix.BPF_RSH, regAccess, 16)
	for i := len(f.rules) - 1; i >= 0; i-- {
		r := &f.rules[i]
		var next []int // the jumps to the end of this rule
		unless := func(reg byte, value uint32) {
			next = append(next, len(p))
			p = append(p, instruction{code: jne32, regs: reg, imm: int32(value)})
		}
		kind := uint32(unix.BPF_DEVCG_DEV_CHAR)
		if r.Type == 'b' {
			kind = unix.BPF_DEVCG_DEV_BLOCK
		}
		if r.Minor >= 0 {
			unless(regMinor, uint32(r.Minor))
		}
		if r.Major >= 0 {
			unless(regMajor, uint32(r.Major))
		}
		unless(regType, kind)
		switch {
		case r.Access == accessAll:
			verdict(r.Allow)
		case r.Allow:
			alu(unix.BPF_AND, regAccess, int32(accessAll&^r.Access))
			unless(regAccess, 0)
			verdict(true)
		default:
			p = append(p, instruction{code: unix.BPF_JMP32 | unix.BPF_JSET | unix.BPF_K, regs: regAccess, off: 1, imm: int32(r.Access)})
			next = append(next, len(p))
			p = append(p, instruction{code: unix.BPF_JMP | unix.BPF_JA})
			verdict(false)
		}
		for _, at := range next {
			p[at].off = int16(len(p) - at - 1)
		}
	}
	verdict(f.allow)
	return p
}

var _ = [1]struct{}{}[spec.AccessMknod^unix.BPF_DEVCG_ACC_MKNOD|spec.AccessRead^unix.BPF_DEVCG_ACC_READ|spec.AccessWrite^unix.BPF_DEVCG_ACC_WRITE]

// loadProgram loads a device program. A signal ends the verifier with EAGAIN,
// and the Go runtime sends itself some.
func loadProgram(p []instruction) (int, error) {
	const license = "Apache\x00" // no helper is called that asks for another
	var pin runtime.Pinner       // the kernel gets addresses, which the garbage collector does not see
	defer pin.Unpin()
	pin.Pin(unsafe.SliceData(p))
	attr := struct {
		kind, count    uint32
		insns, license uint64
		logLevel, size uint32
		log            uint64
		version, flags uint32
	}{
		kind: unix.BPF_PROG_TYPE_CGROUP_DEVICE, count: uint32(len(p)),
		insns: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(p)))), license: uint64(uintptr(unsafe.Pointer(unsafe.StringData(license)))),
	}
	for try := 0; ; try++ {
		fd, err := bpf(unix.BPF_PROG_LOAD, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
		if err != unix.EAGAIN || try == 100 {
			return fd, err
		}
	}
}

// attachProgram attaches a program to a cgroup, or puts it in the place of
// another, which leaves no moment without one.
func attachProgram(cgroup, program, replace int) error {
	attr := struct{ target, program, kind, flags, replace uint32 }{
		uint32(cgroup), uint32(program), unix.BPF_CGROUP_DEVICE, unix.BPF_F_ALLOW_MULTI, 0,
	}
	if replace >= 0 {
		attr.flags |= unix.BPF_F_REPLACE
		attr.replace = uint32(replace)
	}
	_, err := bpf(unix.BPF_PROG_ATTACH, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	return err
}

func detachProgram(cgroup, program int) error {
	attr := struct{ target, program, kind uint32 }{uint32(cgroup), uint32(program), unix.BPF_CGROUP_DEVICE}
	_, err := bpf(unix.BPF_PROG_DETACH, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	return err
}

// attachedPrograms opens the device programs of the cgroup itself. One that
// may not be opened (an LSM keeps it) stays: it can only forbid more.
func attachedPrograms(cgroup int) ([]int, error) {
	ids := new([64]uint32) // the most that a cgroup can have
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(ids)
	attr := struct {
		target, kind, query, flags uint32
		ids                        uint64
		count, _                   uint32
		// Not asked for. Linux 6.17 to 7.1 writes a revision behind what is given.
		_ [4]uint64
	}{target: uint32(cgroup), kind: unix.BPF_CGROUP_DEVICE, ids: uint64(uintptr(unsafe.Pointer(ids))), count: uint32(len(ids))}
	if _, err := bpf(unix.BPF_PROG_QUERY, unsafe.Pointer(&attr), unsafe.Sizeof(attr)); err != nil {
		return nil, err
	}
	var fds []int
	for _, id := range ids[:attr.count] {
		fd, err := bpf(unix.BPF_PROG_GET_FD_BY_ID, unsafe.Pointer(&id), unsafe.Sizeof(id))
		if err == unix.EPERM || err == unix.EACCES || err == unix.ENOENT {
			continue
		}
		if err != nil {
			for _, fd := range fds {
				unix.Close(fd)
			}
			return nil, err
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

func bpf(command uintptr, attr unsafe.Pointer, size uintptr) (int, error) {
	n, _, e := unix.Syscall(unix.SYS_BPF, command, uintptr(attr), size)
	if e != 0 {
		return -1, e
	}
	return int(n), nil
}
