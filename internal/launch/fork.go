package launch

import (
	"errors"
	"runtime"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// closed in the place of one of the stage's files leaves that number closed.
const closed = ^uintptr(0)

// ErrPidNS says that no child can be made in the pid namespace asked for.
var ErrPidNS = errors.New("no child can be made in the pid namespace")

// fork is a clone3(2) whose child shares the memory and makes the calls one
// after the other. It lies on the heap, where Go moves nothing: the calls and
// the kernel hold addresses of it.
type fork struct {
	args    cloneArgs
	calls   []call
	errno   uintptr // of the call that has failed
	pidfd   int32   // of the child, with CLONE_PIDFD
	pidNS   int32   // for setns(2): whose pid namespace the child is made in, or -1
	ownNS   int32   // for setns(2): the runtime's own
	blocked [8]byte // every signal
	mask    [8]byte // the signals that were blocked before
}

// call is a system call of a child's.
type call struct {
	number  uintptr
	args    [5]uintptr
	mayFail uintptr  // not 0: the next call follows all the same
	result  *uintptr // where it goes, an argument of a later call's perhaps; may be nil
}

// cloneArgs is struct clone_args of clone3(2), Linux 5.7.
type cloneArgs struct {
	flags, pidFD uint64
	_            [2]uint64 // where to write thread ids
	exitSignal   uint64
	_            [5]uint64 // the stack, the thread's memory, ids to give
	cgroup       uint64
}

// clone makes the child of f and returns its pid, or a negated errno. The child
// makes its calls with a few instructions that use no stack: no code of Go's
// runs in it.
func clone(f *fork) (pid uintptr)

// newFork is a fork whose child has the memory, every handler of a signal
// reset, and until a call of its own changes that no signal but SIGKILL.
func newFork(flags, exitSignal uint64) *fork {
	f := &fork{pidfd: -1, pidNS: -1, ownNS: -1}
	f.args = cloneArgs{flags: flags | unix.CLONE_VM | unix.CLONE_CLEAR_SIGHAND, pidFD: uint64(address(&f.pidfd)), exitSignal: exitSignal}
	for i := range f.blocked {
		f.blocked[i] = 0xff
	}
	return f
}

func (f *fork) call(number uintptr, args ...uintptr) *call {
	f.calls = append(f.calls, call{number: number})
	c := &f.calls[len(f.calls)-1]
	copy(c.args[:], args)
	return c
}

// image is what the calls of a stage's start have the addresses of.
type image struct {
	name [6]byte
	path [1]byte // none: the descriptor itself
	argv [2]*byte
	env  [1]*byte
	cpus [1024]byte
}

// vfork starts the file in a child as ForkExec would, with fewer and cheaper
// system calls: no handler to reset for each signal, no pipe for an error,
// since the memory is shared, no path of procfs to the file and no thread of
// Go's to be locked. ENOSYS: there is no clone3(2), as the seccomp profile of a
// container around the runtime may have it.
func (s *Stage) vfork(file int, files []uintptr, sys *syscall.SysProcAttr, pidNS int) error {
	f := newFork(unix.CLONE_VFORK|unix.CLONE_PIDFD|uint64(sys.Cloneflags), uint64(unix.SIGCHLD))
	if sys.UseCgroupFD {
		f.args.flags |= unix.CLONE_INTO_CGROUP
		f.args.cgroup = uint64(sys.CgroupFD)
	}
	if pidNS >= 0 {
		own, err := unix.PidfdOpen(unix.Getpid(), 0)
		if err != nil {
			return err
		}
		defer unix.Close(own)
		f.pidNS, f.ownNS = int32(pidNS), int32(own)
	}
	i := &image{name: [...]byte{'o', 's', 't', 'i', 'a', 0}, cpus: everyCPU()}
	i.argv[0] = &i.name[0]
	f.call(unix.SYS_SCHED_SETAFFINITY, 0, uintptr(len(i.cpus)), address(&i.cpus)).mayFail = 1
	f.place(files, file)
	f.call(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, address(&f.mask), 0, 8)
	f.call(unix.SYS_EXECVEAT, uintptr(file), address(&i.path), address(&i.argv), address(&i.env), unix.AT_EMPTY_PATH)

	// Go has raised the limit of open files for itself, and takes that back where
	// it executes something, as here, though there is nothing with an empty path.
	_ = syscall.Exec("", nil, nil)
	pid := f.start()
	runtime.KeepAlive(i)
	if pid == 0 {
		return ErrPidNS
	}
	if errno := -pid; errno < 4096 {
		return syscall.Errno(errno)
	}
	s.Pid, s.PidFD = int(pid), int(f.pidfd)
	if f.errno != 0 {
		unix.Close(s.PidFD)
		_, _ = s.Reap()
		return syscall.Errno(f.errno)
	}
	return nil
}

// start blocks the signals and forks. It returns 0 if there is no way into the
// pid namespace. That is a thread's alone, and Go can make no thread from one
// whose children's is another than its own: nothing here can be preempted, by
// a signal or in a function's prologue, so that no other goroutine gets the
// thread. Back in its own namespace it always comes.
//
//go:nosplit
func (f *fork) start() (pid uintptr) {
	_, _, _ = syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&f.blocked)), uintptr(unsafe.Pointer(&f.mask)), 8, 0, 0)
	if f.pidNS < 0 {
		pid = clone(f)
	} else if _, _, errno := syscall.RawSyscall(unix.SYS_SETNS, uintptr(f.pidNS), unix.CLONE_NEWPID, 0); errno == 0 {
		pid = clone(f)
		_, _, _ = syscall.RawSyscall(unix.SYS_SETNS, uintptr(f.ownNS), unix.CLONE_NEWPID, 0)
	}
	_, _, _ = syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&f.mask)), 0, 8, 0, 0)
	return pid
}

// place moves files to 0, 1, 2 and on. One that is lower than its place goes
// above all others first, out of the way, and above another number.
func (f *fork) place(files []uintptr, above int) {
	files = slices.Clone(files)
	free := uintptr(max(len(files), above+1))
	for _, fd := range files {
		if fd != closed {
			free = max(free, fd+1)
		}
	}
	for i, fd := range files {
		if fd != closed && fd < uintptr(i) {
			f.call(unix.SYS_DUP3, fd, free, unix.O_CLOEXEC)
			files[i] = free
			free++
		}
	}
	for i, fd := range files {
		switch fd {
		case closed:
			f.call(unix.SYS_CLOSE, uintptr(i)).mayFail = 1
		case uintptr(i):
			f.call(unix.SYS_FCNTL, fd, unix.F_SETFD, 0)
		default:
			f.call(unix.SYS_DUP3, fd, uintptr(i), 0)
		}
	}
}

// address is that of something on the heap, where Go moves nothing.
func address[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }
