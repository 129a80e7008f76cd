package entrypoint

import (
	"runtime"
	"strconv"
	"syscall"
	"unsafe"

	"ostia/internal/linux"

	"golang.org/x/sys/unix"
)

// Thread is a [Prober] for those who have a root file system and no process in
// it: an operating system thread of this process that has taken on a root, a
// working directory and an identity. It executes nothing and changes nothing,
// and the rest of the process stays as it is. Use it from one goroutine.
type Thread struct {
	questions chan question
}

type question struct {
	do     func(t *identity)
	answer chan struct{}
}

// identity is the state of the thread that only it may use.
type identity struct {
	fds   int // /proc/self/fd from before the chroot
	check bool
}

// An OpenError says which step of [Open] failed.
type OpenError struct {
	Op  string
	Err error
}

func (e *OpenError) Error() string {
	s := "entrypoint: " + e.Op + ": " + e.Err.Error()
	if e.Err == unix.EPERM {
		s += " (it takes CAP_SYS_CHROOT, CAP_SETUID, CAP_SETGID and the capabilities asked for)"
	}
	return s
}

// Unwrap is the errno.
func (e *OpenError) Unwrap() error { return e.Err }

// Open starts a thread in the directory root, which stays the caller's, with
// cwd as the working directory in it, and the identity c. It needs privilege:
// CAP_SYS_CHROOT, CAP_SETUID, CAP_SETGID and the capabilities of c. The ids of c
// are those of this process's user namespace.
func Open(root int, cwd string, c Credentials) (*Thread, error) {
	t := &Thread{questions: make(chan question)}
	ready := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine.
		runtime.LockOSThread()
		id := identity{fds: -1, check: linux.HasExecveCheck()}
		err := id.become(root, cwd, &c)
		ready <- err
		if err == nil {
			for q := range t.questions {
				q.do(&id)
				close(q.answer)
			}
		}
		if id.fds >= 0 {
			unix.Close(id.fds)
		}
	}()
	if err := <-ready; err != nil {
		return nil, err
	}
	return t, nil
}

// Close ends the thread.
func (t *Thread) Close() { close(t.questions) }

func (t *Thread) ask(do func(*identity)) {
	q := question{do, make(chan struct{})}
	t.questions <- q
	<-q.answer
}

// Probe implements [Prober]. An argument list that is too long is not noticed.
func (t *Thread) Probe(path string) (p Probe) {
	t.ask(func(id *identity) { p = id.probe(path) })
	return p
}

// ReadRange implements [RangeReader].
func (t *Thread) ReadRange(path string, offset int64, length int) (b []byte) {
	t.ask(func(id *identity) {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return
		}
		defer unix.Close(fd)
		b, _ = id.read(fd, offset, length)
	})
	return b
}

// become changes this thread alone, so it makes the system calls itself: the
// functions of package syscall change every thread.
func (id *identity) become(root int, cwd string, c *Credentials) error {
	var failure error
	step := func(op string, err error) bool {
		if err != nil {
			failure = &OpenError{op, err}
		}
		return err == nil
	}
	call := func(op string, nr uintptr, a ...uintptr) bool {
		a = append(a, 0, 0, 0, 0, 0)
		_, _, e := unix.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], 0)
		if e != 0 {
			return step(op, e)
		}
		return true
	}
	var err error
	id.fds, err = unix.Open("/proc/self/fd", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	const keep = ^uintptr(0)
	dumpable, _ := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	groups := unsafe.Pointer(unsafe.SliceData(c.Groups))
	// Only the effective ids change, and the permitted capabilities stay: files
	// are judged by those alone, and no other process of the user can signal or
	// trace this thread, and with it the whole process.
	_ = step("open /proc/self/fd", err) &&
		step("unshare", unix.Unshare(unix.CLONE_FS)) &&
		step("root directory", unix.Fchdir(root)) &&
		step("chroot", unix.Chroot(".")) &&
		step("working directory", unix.Chdir(cwd)) &&
		call("setgroups", unix.SYS_SETGROUPS, uintptr(len(c.Groups)), uintptr(groups)) &&
		call("setresgid", unix.SYS_SETRESGID, keep, uintptr(c.GID), keep) &&
		call("setresuid", unix.SYS_SETRESUID, keep, uintptr(c.UID), keep) &&
		step("capset", capset(c.Capabilities)) &&
		(!c.NoNewPrivs || call("no_new_privs", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1))
	runtime.KeepAlive(c)
	if dumpable == 1 { // the kernel took that from the process with the new identity
		_ = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
	}
	return failure
}

// capset makes the effective set of this thread the one asked for.
func capset(effective uint64) error {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&h, &sets[0]); err != nil {
		return err
	}
	for i := range sets {
		sets[i].Effective = uint32(effective >> (32 * i))
		if sets[i].Effective&^sets[i].Permitted != 0 {
			return unix.EPERM
		}
	}
	return unix.Capset(&h, &sets[0])
}

func (id *identity) probe(path string) Probe {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		e, _ := err.(syscall.Errno)
		return Probe{Errno: e}
	}
	defer unix.Close(fd)
	if e := id.mayExecute(fd); e != 0 {
		return Probe{Errno: e}
	}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return Probe{}
	}
	head, _ := id.read(fd, 0, HeadSize)
	return Probe{Head: head, Size: st.Size}
}

func (id *identity) mayExecute(fd int) syscall.Errno {
	empty := new(byte)
	if id.check {
		argv := [2]*byte{empty, nil}
		_, _, e := unix.RawSyscall6(unix.SYS_EXECVEAT, uintptr(fd), uintptr(unsafe.Pointer(empty)), uintptr(unsafe.Pointer(&argv[0])),
			uintptr(unsafe.Pointer(&argv[1])), unix.AT_EMPTY_PATH|linux.AT_EXECVE_CHECK, 0)
		return e
	}
	// Before Linux 6.14.
	var st unix.Stat_t
	var fs unix.Statfs_t
	if _, _, e := unix.RawSyscall6(unix.SYS_FACCESSAT2, uintptr(fd), uintptr(unsafe.Pointer(empty)), unix.X_OK, unix.AT_EACCESS|unix.AT_EMPTY_PATH, 0, 0); e != 0 {
		return e
	}
	if unix.Fstat(fd, &st) != nil || unix.Fstatfs(fd, &fs) != nil ||
		st.Mode&unix.S_IFMT != unix.S_IFREG || fs.Flags&unix.ST_NOEXEC != 0 {
		return unix.EACCES
	}
	return 0
}

// read reads a part of the regular file behind an O_PATH descriptor: the very
// file that was checked, whatever its path leads to by now.
func (id *identity) read(fd int, offset int64, length int) ([]byte, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, unix.EACCES
	}
	r, err := unix.Openat(id.fds, strconv.Itoa(fd), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(r)
	b := make([]byte, length)
	n := 0
	for n < length {
		m, err := unix.Pread(r, b[n:], offset+int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		if m == 0 {
			break
		}
		n += m
	}
	return b[:n], nil
}
