// Package launch starts a stage and talks to it: the image in a sealed memory
// file, the fork, the socket for reports and questions, the pidfd. The same kind
// of fork makes a network namespace meanwhile.
package launch

import (
	"encoding/binary"
	"errors"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"

	"ostia/internal/file"
	"ostia/internal/plan"

	"golang.org/x/sys/unix"
)

// Stage is a running stage.
type Stage struct {
	Pid   int
	PidFD int // -1 when the kernel gave none
	sock  int // our end of the socket; -1 when closed
	n     int // candidates of its plan
	buf   []byte
	forks bool   // the process that goes on has not been adopted yet
	held  []byte // its report, which has overtaken that of the process that forked it
}

// Socket makes the socket between the runtime and a stage. The stage's end is
// one of the files given to Start.
func Socket() (ours, stages int, err error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1, err
	}
	return p[0], p[1], nil
}

// Start forks and executes the image of p. files are the stage's descriptors
// 0, 1, 2 and on; a value of ^uintptr(0) leaves that number closed. pidNS is a
// pidfd or a namespace, in whose pid namespace the child is made, or -1. sock
// is the runtime's end of the socket. A stage that asks to die with its parent
// dies with the thread that forked it: threads of Go end with the process
// unless a goroutine locked to one ends, and none that does has forked one.
func Start(p *plan.Plan, files []uintptr, sys *syscall.SysProcAttr, pidNS, sock int, dir string) (*Stage, error) {
	image, err := memfile(p.Image(), len(files), dir)
	if err != nil {
		return nil, err
	}
	defer unix.Close(image)
	s := &Stage{PidFD: -1, sock: sock, n: len(p.Candidates), buf: make([]byte, plan.MaxReport(len(p.Candidates))), forks: p.Forks}
	err = syscall.ENOSYS
	if sys.Cloneflags&syscall.CLONE_NEWUSER == 0 {
		err = s.vfork(image, files, sys, pidNS)
	}
	if err == syscall.ENOSYS {
		err = s.forkExec(image, files, sys, pidNS)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// forkExec starts the image with Go's own fork, which writes the maps of a new
// user namespace.
func (s *Stage) forkExec(image int, files []uintptr, sys *syscall.SysProcAttr, pidNS int) error {
	if pidNS >= 0 {
		return ErrPidNS
	}
	// ForkExec uses the numbers below len(files), and from one above both that
	// and the highest of files on as many again, and two for its pipe.
	top := len(files)
	for _, f := range files {
		if f != closed {
			top = max(top, int(f))
		}
	}
	image, err := above(image, top+len(files)+3)
	if err != nil {
		return err
	}
	defer unix.Close(image)
	sys.PidFD = &s.PidFD
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	every := everyCPU()
	_, _, _ = unix.RawSyscall(unix.SYS_SCHED_SETAFFINITY, 0, uintptr(len(every)), uintptr(unsafe.Pointer(&every)))
	s.Pid, err = syscall.ForkExec("/proc/self/fd/"+strconv.Itoa(image), []string{"ostia"}, &syscall.ProcAttr{Env: []string{}, Files: files, Sys: sys})
	return err
}

// everyCPU is a mask of 8192 CPUs, the most that Linux knows. It takes off the
// affinity that a child has from the caller: a container has the CPUs of its
// cgroup, as with runc, however systemd's CPUAffinity or taskset(1) bind who
// starts it.
func everyCPU() (mask [1024]byte) {
	for i := range mask {
		mask[i] = 0xff
	}
	return mask
}

// memfile puts the image into a file that nobody can change and that has no
// name (CVE-2019-5736): a sealed memfd, or where the host forbids executable
// ones (vm.memfd_noexec=2), an unnamed file in dir. The descriptor lies above
// the numbers of the stage's files.
func memfile(image []byte, files int, dir string) (int, error) {
	fd, err := unix.MemfdCreate("ostia", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	if err == unix.EINVAL { // before Linux 6.3
		fd, err = unix.MemfdCreate("ostia", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err == unix.EACCES {
		return tmpfile(image, files, dir)
	}
	if err != nil {
		return -1, err
	}
	if err := file.WriteAll(fd, image); err != nil {
		unix.Close(fd)
		return -1, err
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return moved(fd, files)
}

func tmpfile(image []byte, files int, dir string) (int, error) {
	w, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o700)
	if err != nil {
		return -1, err
	}
	if err = file.WriteAll(w, image); err != nil {
		unix.Close(w)
		return -1, err
	}
	// A file open for writing cannot be executed.
	r, err := unix.Open("/proc/self/fd/"+strconv.Itoa(w), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	unix.Close(w)
	if err != nil {
		return -1, err
	}
	return moved(r, files)
}

// moved is fd with a number that is not below least.
func moved(fd, least int) (int, error) {
	if fd >= least {
		return fd, nil
	}
	defer unix.Close(fd)
	return above(fd, least)
}

// above duplicates fd to a number that is not below least.
func above(fd, least int) (int, error) {
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, least)
	if err == unix.EINVAL { // the number itself is over the limit
		err = unix.EMFILE
	}
	return high, err
}

// Report is a message of a stage (see plan.ReportOp).
type Report struct {
	Op        uint32
	Errno     unix.Errno     // of a failed op
	Milestone plan.Milestone // when Op is 0
	Value     int32
	HeadLen   int32
	Size      int64 // of the file whose head it is
	Results   []int32
	Head      []byte
}

// ErrClosed says that the stage's end of the socket is closed: it has executed
// the entry point, waits for start, or is gone.
var ErrClosed = errors.New("the stage has closed its socket")

// ErrKilled says that the process that was to fork the one that goes on was
// killed before it could report it.
var ErrKilled = errors.New("the container's first process was killed before it was ready")

// Next waits for a report. The report's slices are good until the next call.
func (s *Stage) Next() (Report, error) {
	if held := s.held; held != nil {
		s.held = nil
		return s.parse(held)
	}
	n, err := s.receive()
	if err != nil {
		return Report{}, err
	}
	r, err := s.parse(s.buf[:n])
	if err == nil && s.forks && r.Op == 0 && !beforeFork(r.Milestone) {
		return s.overtaken(s.buf[:n])
	}
	return r, err
}

// beforeFork reports whether the process that forks says this, and not the one
// that goes on.
func beforeFork(m plan.Milestone) bool {
	return m == plan.Forked || m == plan.WantMaps || m == plan.WantCgroup
}

// overtaken keeps the report of a process that its parent has not reported
// yet, and returns the parent's. The parent ends as soon as it has reported; if
// it is killed instead, nobody knows the process that goes on.
func (s *Stage) overtaken(report []byte) (Report, error) {
	s.held = append([]byte(nil), report...)
	ready(s.PidFD, -1)
	if !ready(s.sock, 0) {
		return Report{}, ErrKilled
	}
	n, err := s.receive()
	if err != nil {
		return Report{}, err
	}
	return s.parse(s.buf[:n])
}

// ready waits until a descriptor can be read, a pidfd until its process has
// ended, for some milliseconds or, with -1, for ever.
func ready(fd, milliseconds int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		if n, err := unix.Poll(fds, milliseconds); err != unix.EINTR {
			return n > 0
		}
	}
}

func (s *Stage) receive() (int, error) {
	for {
		n, err := unix.Read(s.sock, s.buf)
		switch {
		case err == unix.EINTR:
		case err == unix.ECONNRESET || err == nil && n == 0:
			return 0, ErrClosed
		default:
			return n, err
		}
	}
}

func (s *Stage) parse(b []byte) (Report, error) {
	fixed := plan.ReportWords + 4*s.n
	if len(b) < fixed {
		return Report{}, unix.EPROTO
	}
	word := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	r := Report{
		Op:        word(plan.ReportOp),
		Errno:     unix.Errno(word(plan.ReportErrno)),
		Milestone: plan.Milestone(word(plan.ReportErrno)),
		Value:     int32(word(plan.ReportValue)),
		HeadLen:   int32(word(plan.ReportHead)),
		Size:      int64(binary.LittleEndian.Uint64(b[plan.ReportSize:])),
		Results:   make([]int32, s.n),
		Head:      b[fixed:],
	}
	if n := int(r.HeadLen); n < len(r.Head) {
		r.Head = r.Head[:max(n, 0)]
	}
	for i := range r.Results {
		r.Results[i] = int32(word(plan.ReportWords + 4*i))
	}
	if r.Op != 0 {
		r.Milestone = 0
	}
	return r, nil
}

// Go lets a waiting stage go on. ErrClosed, as of Ask, Tell and Take: it is gone,
// and Next returns what it has said last, if anything.
func (s *Stage) Go() error { return s.send(plan.Go) }

// Ask has a waiting stage check a path. The answer is its next report.
func (s *Stage) Ask(path string) error { return s.send(path + "\x00") }

func (s *Stage) send(m string) error {
	for {
		err := unix.Send(s.sock, []byte(m), unix.MSG_NOSIGNAL)
		if err == unix.EPIPE || err == unix.ECONNRESET {
			err = ErrClosed
		}
		if err != unix.EINTR {
			return err
		}
	}
}

// Tell answers a waiting stage with a text, NUL-terminated.
func (s *Stage) Tell(text string) error { return s.send(text + "\x00") }

// Close closes the runtime's end of the socket. A stage that still waits for a
// word ends.
func (s *Stage) Close() {
	if s.sock >= 0 {
		unix.Close(s.sock)
		s.sock = -1
	}
}

// Started is a child that is no stage: it says nothing.
func Started(pid int) (*Stage, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	return &Stage{Pid: pid, PidFD: fd, sock: -1}, err
}

// Adopt makes the process that goes on, which a stage forked, the stage.
func (s *Stage) Adopt(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	if s.PidFD >= 0 {
		unix.Close(s.PidFD)
	}
	_, _ = s.Reap()
	s.Pid, s.PidFD, s.forks = pid, fd, false
	return nil
}

// Take gets a copy of one of the stage's descriptors.
func (s *Stage) Take(fd int) (int, error) {
	copied, err := unix.PidfdGetfd(s.PidFD, fd, 0)
	if err == unix.ESRCH {
		err = ErrClosed
	}
	return copied, err
}

// Executed reports, of a stage that has closed its socket, whether it did so by
// executing the entry point: one that is being killed has no memory any more
// when its descriptors are closed (proc(5), statm), and is waited for.
func (s *Stage) Executed() bool {
	fd, err := unix.Open("/proc/"+strconv.Itoa(s.Pid)+"/statm", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return true // not to be told here
	}
	defer unix.Close(fd)
	var size [2]byte
	n, _ := unix.Read(fd, size[:])
	return string(size[:max(n, 0)]) != "0 " || !s.AwaitEnd()
}

// AwaitEnd waits for the end of the process and leaves it to be reaped. killed
// says that SIGKILL ended it while it was still the stage: nothing was executed
// in its place, and no report came.
func (s *Stage) AwaitEnd() (killed bool) {
	var info unix.Siginfo
	for {
		err := unix.Waitid(unix.P_PID, s.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			break
		}
	}
	const cldKilled = 2
	if info.Code != cldKilled {
		return false
	}
	// The name of a zombie is that of what it last executed.
	var name [16]byte
	fd, err := unix.Open("/proc/"+strconv.Itoa(s.Pid)+"/comm", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	n, _ := unix.Read(fd, name[:])
	return string(name[:max(n, 0)]) == plan.ProcessName+"\n"
}

// Reap waits for the stage's process to end.
func (s *Stage) Reap() (unix.WaitStatus, error) {
	var ws unix.WaitStatus
	for {
		_, err := unix.Wait4(s.Pid, &ws, 0, nil)
		if err != unix.EINTR {
			return ws, err
		}
	}
}

// Kill ends the stage and waits for it.
func (s *Stage) Kill() {
	if s.PidFD >= 0 {
		_ = unix.PidfdSendSignal(s.PidFD, unix.SIGKILL, nil, 0)
	} else {
		_ = unix.Kill(s.Pid, unix.SIGKILL)
	}
	_, _ = s.Reap()
}
