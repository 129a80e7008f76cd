package test

import (
	"flag"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// underReaper runs the test once more in a process of its own and reaps here
// what is orphaned there: a pid namespace ends only when the last process in it
// is reaped, and not every machine's first process does that at once. It
// returns false in that process.
func underReaper(t *testing.T) bool {
	const mark = "OSTIA_TEST_REAPED"
	if os.Getenv(mark) != "" {
		return false
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	pattern := "^" + t.Name() + "$"
	if _, part, some := strings.Cut(flag.Lookup("test.run").Value.String(), "/"); some {
		pattern += "/" + part
	}
	pid, err := syscall.ForkExec("/proc/self/exe", append(slices.Clone(os.Args), "-test.run="+pattern), &syscall.ProcAttr{
		Env:   append(os.Environ(), mark+"=1"),
		Files: []uintptr{0, 1, 2},
	})
	if err != nil {
		t.Fatal(err)
	}
	for {
		var ws unix.WaitStatus
		child, err := unix.Wait4(-1, &ws, unix.WALL, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			t.Fatal(err)
		case child == pid && ws != 0:
			t.Fatalf("exit status %d", ws.ExitStatus())
		case child == pid:
			return true
		}
	}
}

// tracer runs a command and follows it and all that it starts from system call
// to system call, until the command has ended.
type tracer struct {
	argv    []string
	out     *os.File
	at      *moment
	main    int
	threads map[int]*thread
	execs   map[int]int // of each process but the command
	late    bool
	result  traced
}

type thread struct{ tgid int }

// run must have a goroutine of its own. Its thread ends with it, and by that
// whoever is still traced goes on alone: ptrace(2), "the tracer exits".
func (tr *tracer) run() error {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() { // the main thread, which Go never ends
		elsewhere := make(chan error)
		go func() { elsewhere <- tr.run() }()
		return <-elsewhere
	}
	null, err := os.Open("/dev/null")
	if err != nil {
		return err
	}
	defer null.Close()
	tr.main, err = syscall.ForkExec(tr.argv[0], tr.argv, &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{null.Fd(), tr.out.Fd(), tr.out.Fd()},
		Sys:   &syscall.SysProcAttr{Ptrace: true},
	})
	if err != nil {
		return err
	}
	var ws unix.WaitStatus
	if _, err := unix.Wait4(tr.main, &ws, unix.WALL, nil); err != nil {
		return err
	}
	const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACEEXEC
	if err := unix.PtraceSetOptions(tr.main, options); err != nil {
		return err
	}
	var late atomic.Bool
	timer := time.AfterFunc(20*time.Second, func() {
		late.Store(true)
		unix.Kill(tr.main, unix.SIGKILL)
	})
	defer timer.Stop()
	tr.threads[tr.main] = &thread{tr.main}
	unix.PtraceSyscall(tr.main, 0)
	for {
		tid, err := unix.Wait4(-1, &ws, unix.WALL|unix.WNOTHREAD, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if ws.Stopped() {
			tr.stopped(tid, ws)
			continue
		}
		delete(tr.threads, tid)
		if tid == tr.main {
			tr.late = late.Load()
			tr.result.status = ws.ExitStatus()
			return nil
		}
	}
}

// stopped lets a stopped thread go on, or ends somebody.
func (tr *tracer) stopped(tid int, ws unix.WaitStatus) {
	th := tr.threads[tid]
	signal := 0
	switch {
	case th == nil: // the SIGSTOP that a new thread begins with
		tr.threads[tid] = &thread{tgid(tid)}
	case ws.TrapCause() == unix.PTRACE_EVENT_CLONE, ws.TrapCause() == unix.PTRACE_EVENT_FORK, ws.TrapCause() == unix.PTRACE_EVENT_VFORK:
		// Here that SIGSTOP is taken from it: were the command killed first, it
		// would stop for good, with nobody to trace it.
		child, err := unix.PtraceGetEventMsg(tid)
		if new := int(child); err == nil && tr.threads[new] == nil {
			if _, err := unix.Wait4(new, &ws, unix.WALL, nil); err == nil && ws.Stopped() {
				tr.threads[new] = &thread{tgid(new)}
				unix.PtraceSyscall(new, 0)
			}
		}
	case ws.StopSignal() == unix.SIGTRAP|0x80:
		if nr, entry := systemCall(tid); entry {
			tr.call(th, nr)
		}
	case ws.TrapCause() == unix.PTRACE_EVENT_EXEC && th.tgid != tr.main:
		// The first is the stage, the second the entry point, which is its
		// own master.
		if tr.execs[th.tgid]++; tr.execs[th.tgid] == 2 {
			unix.PtraceDetach(tid)
			return
		}
	case ws.TrapCause() < 0 && ws.StopSignal() != unix.SIGTRAP:
		signal = int(ws.StopSignal())
	}
	unix.PtraceSyscall(tid, signal)
}

// call is the entry of a system call. A process killed there does not do it.
func (tr *tracer) call(th *thread, nr int) {
	ofStage := th.tgid != tr.main
	calls := &tr.result.runtime
	if ofStage {
		calls = &tr.result.stage
	} else if private(nr) {
		return
	}
	n := len(*calls)
	*calls = append(*calls, nr)
	if at := tr.at; at != nil && !tr.result.killed && at.ofStage == ofStage && at.n == n {
		victim := tr.main
		if at.stage {
			victim = th.tgid
		}
		tr.result.killed = true
		unix.Kill(victim, unix.SIGKILL)
	}
}

// private reports whether nobody outside a process sees a system call. Their
// number in the Go runtime differs from run to run.
func private(nr int) bool {
	switch nr {
	case unix.SYS_FUTEX, unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_SCHED_YIELD, unix.SYS_MMAP, unix.SYS_MUNMAP,
		unix.SYS_MADVISE, unix.SYS_MPROTECT, unix.SYS_BRK, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGRETURN,
		unix.SYS_SIGALTSTACK, unix.SYS_GETTID, unix.SYS_GETPID, unix.SYS_TGKILL, unix.SYS_SCHED_GETAFFINITY, unix.SYS_CLOCK_GETTIME:
		return true
	}
	return false
}

// systemCall is the number of the call that a stopped thread is about to make
// (PTRACE_GET_SYSCALL_INFO, Linux 5.3).
func systemCall(tid int) (nr int, entry bool) {
	const infoEntry = 1 // PTRACE_SYSCALL_INFO_ENTRY
	var info struct {
		op   uint8
		_    [3]uint8
		arch uint32
		ip   uint64
		sp   uint64
		nr   uint64
		args [7]uint64
	}
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(tid), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	return int(info.nr), errno == 0 && info.op == infoEntry
}

// tgid is the process of a thread.
func tgid(tid int) int {
	status, _ := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/status")
	_, rest, _ := strings.Cut(string(status), "\nTgid:\t")
	line, _, _ := strings.Cut(rest, "\n")
	n, _ := strconv.Atoi(line)
	return n
}
