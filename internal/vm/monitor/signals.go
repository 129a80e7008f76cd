package monitor

import (
	"os"
	"os/signal"
	"syscall"

	"ostia/internal/vm/wire"

	"golang.org/x/sys/unix"
)

// catchSignals begins to keep every signal that can be caught for the process
// in the guest. SIGURG is Go's own and what stops a processor; SIGPIPE comes
// from our own writing; SIGCONT resumes the machine, not what runs in it.
func catchSignals() <-chan os.Signal {
	signal.Ignore(unix.SIGPIPE, unix.SIGTTOU, unix.SIGTTIN)
	c := make(chan os.Signal, 64)
	for n := syscall.Signal(1); n <= 64; n++ {
		switch n {
		case unix.SIGKILL, unix.SIGSTOP, unix.SIGURG, unix.SIGPIPE, unix.SIGCHLD, unix.SIGTTOU, unix.SIGTTIN, unix.SIGCONT:
			continue
		}
		signal.Notify(c, n)
	}
	return c
}

type sender interface{ send(*wire.Message) }

// forward sends signals on to a session; a change of our terminal's size goes
// to its terminal.
func forward(signals <-chan os.Signal, to sender, session uint32, tty *terminal) {
	for sig := range signals {
		n, _ := sig.(syscall.Signal)
		if n == unix.SIGWINCH && tty != nil {
			to.send(&wire.Message{Kind: wire.Resize, Session: session, Size: tty.size()})
			continue
		}
		to.send(&wire.Message{Kind: wire.Signal, Session: session, Number: int(n)})
	}
}
