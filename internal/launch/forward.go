package launch

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// forwardTo is the pidfd that the handler sends signals to, -1 before there is
// one, and pending is a bit for each signal that came till then. A signal's
// handler belongs to the process, and so do these.
var (
	forwardTo int32 = -1
	pending   uint64
)

// forwarded are the signals that a foreground run or exec passes on. Not
// SIGWINCH: what has changed is our terminal, and os/signal, which then has the
// container's resized, does not get a signal whose handler is not Go's.
var forwarded = [...]unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGTERM,
	unix.SIGCONT, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGIO, unix.SIGPWR}

// Forward has the signals of a foreground process handled by passing them on:
// from now on they are kept, and after ForwardTo they are sent. The handler is
// a few instructions that make the system call themselves. os/signal would
// take a thread, two goroutines and a hand-over for each signal: 1.5 ms of
// every run.
func Forward() {
	act := sigaction(handlerAddress())
	for _, sig := range forwarded {
		_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&act[0])), 0, 8, 0, 0)
	}
}

// ForwardTo begins to send signals to the stage's process, those kept first.
func (s *Stage) ForwardTo() {
	atomic.StoreInt32(&forwardTo, int32(s.PidFD))
	for kept := atomic.SwapUint64(&pending, 0); kept != 0; kept &= kept - 1 {
		for _, sig := range forwarded {
			if kept&-kept == 1<<sig {
				_ = unix.PidfdSendSignal(s.PidFD, sig, nil, 0)
			}
		}
	}
}

// The flags of sigaction(2).
const (
	saRestart = 0x10000000
	saOnStack = 0x08000000
)

// handlerAddress is the address of the signal handler.
func handlerAddress() uintptr
