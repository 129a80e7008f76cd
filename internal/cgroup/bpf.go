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
	regDevice  = 5 // deviceNumber
)

// deviceNumber packs a device's numbers into 32 bits, as the kernel's dev_t
// does: 12 bits and 20.
func deviceNumber(major, minor int64) int32 { return int32(uint32(major)<<20 | uint32(minor)) }

// program asks the rules from the last to the first. An allowing rule takes
// its kinds of access off; nothing left is a yes. A denying rule that has one
// of those left is a no. It is made of few jumps, since the kernel's verifier
// follows each of them at every create.
func (f *deviceFilter) program() []instruction {
	a := assembler{p: make([]instruction, 0, 16+2*len(f.rules))}
	a.load(regType, 0) // access_type: type in the low half, access in the high one
	a.load(regMajor, 4)
	a.load(regDevice, 8)
	a.alu(unix.BPF_MOV|unix.BPF_X, regAccess|regType<<4, 0)
	a.alu(unix.BPF_AND, regType, 0xffff)
	a.alu(unix.BPF_RSH, regAccess, 16)
	// deviceNumber, from the minor number.
	a.alu(unix.BPF_MOV|unix.BPF_X, regContext|regMajor<<4, 0)
	a.alu(unix.BPF_LSH, regContext, 20)
	a.alu(unix.BPF_OR|unix.BPF_X, regDevice|regContext<<4, 0)

	block := a.jump(unix.BPF_JNE, regType, unix.BPF_DEVCG_DEV_CHAR)
	f.ask(&a, 'c')
	a.land(block)
	f.ask(&a, 'b')
	for _, end := range [...]struct {
		jumps []int
		value int32
	}{{a.allow, 1}, {a.deny, 0}} {
		if len(end.jumps) == 0 {
			continue // the verifier refuses what is never reached
		}
		for _, at := range end.jumps {
			a.land(at)
		}
		a.alu(unix.BPF_MOV, regVerdict, end.value)
		a.p = append(a.p, instruction{code: unix.BPF_JMP | unix.BPF_EXIT})
	}
	return a.p
}

// ask adds the rules for one type of device and what holds without any.
func (f *deviceFilter) ask(a *assembler, kind byte) {
	for i := len(f.rules) - 1; i >= 0; i-- {
		r := &f.rules[i]
		if r.Type != kind {
			continue
		}
		if r.Access == accessAll {
			switch {
			case r.Major < 0 && r.Minor < 0:
				a.end(r.Allow)
				return
			case r.Minor < 0:
				a.endIf(regMajor, int32(r.Major), r.Allow)
				continue
			case r.Major >= 0 && r.Major < 1<<12 && r.Minor < 1<<20:
				a.endIf(regDevice, deviceNumber(r.Major, r.Minor), r.Allow)
				continue
			}
		}
		f.askPart(a, r)
	}
	a.end(f.allow)
}

// askPart adds a rule for some kinds of access, or with a wildcard major.
func (f *deviceFilter) askPart(a *assembler, r *spec.DeviceRule) {
	var next []int
	if r.Major >= 0 {
		next = append(next, a.jump(unix.BPF_JNE, regMajor, int32(r.Major)))
	}
	if r.Minor >= 0 {
		a.alu(unix.BPF_MOV|unix.BPF_X, regContext|regDevice<<4, 0)
		a.alu(unix.BPF_AND, regContext, 1<<20-1)
		next = append(next, a.jump(unix.BPF_JNE, regContext, int32(r.Minor)))
	}
	if r.Allow {
		a.alu(unix.BPF_AND, regAccess, int32(accessAll&^r.Access))
		a.endIf(regAccess, 0, true)
	} else {
		a.deny = append(a.deny, a.jump(unix.BPF_JSET, regAccess, int32(r.Access)))
	}
	for _, at := range next {
		a.land(at)
	}
}

// assembler is a device program being written.
type assembler struct {
	p           []instruction
	allow, deny []int // jumps to the two ends
}

func (a *assembler) load(reg byte, off int16) {
	a.p = append(a.p, instruction{code: unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W, regs: reg | regContext<<4, off: off})
}

func (a *assembler) alu(code, regs byte, imm int32) {
	a.p = append(a.p, instruction{code: unix.BPF_ALU | unix.BPF_K | code, regs: regs, imm: imm})
}

// jump adds a 32-bit comparison (Linux 5.1) whose target is yet to be landed.
func (a *assembler) jump(code, reg byte, imm int32) int {
	a.p = append(a.p, instruction{code: unix.BPF_JMP32 | unix.BPF_K | code, regs: reg, imm: imm})
	return len(a.p) - 1
}

func (a *assembler) land(at int) { a.p[at].off = int16(len(a.p) - at - 1) }

// endIf gives the verdict when a register has a value.
func (a *assembler) endIf(reg byte, value int32, allow bool) {
	a.to(allow, a.jump(unix.BPF_JEQ, reg, value))
}

// end gives the verdict.
func (a *assembler) end(allow bool) {
	a.p = append(a.p, instruction{code: unix.BPF_JMP | unix.BPF_JA})
	a.to(allow, len(a.p)-1)
}

func (a *assembler) to(allow bool, jump int) {
	if allow {
		a.allow = append(a.allow, jump)
	} else {
		a.deny = append(a.deny, jump)
	}
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
