package monitor

import (
	"fmt"

	"ostia/internal/vm/machine"

	"golang.org/x/sys/unix"
)

// trace writes the machine's phases for --trace, a line each: when it ended, by
// CLOCK_MONOTONIC in nanoseconds, and its name. The runtime has the stage's
// times before them in the same file. A descriptor below 0 is none.
type trace struct {
	fd    int
	exits int64
	kicks int64
}

func (t *trace) end(name string) {
	if t.fd < 0 {
		return
	}
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	_, _ = unix.Write(t.fd, fmt.Appendf(nil, "%d %s\n", now.Nano(), name)) // a lost trace is no failure of the machine
}

// running ends a phase in which the guest ran, with how often it needed this
// process: by leaving the processor, and by a notification that KVM takes.
func (t *trace) running(name string, m *machine.Machine) {
	exits, kicks := m.Exits.Load(), m.Kicks()
	t.end(fmt.Sprintf("%s (%d exits to the monitor, %d notifications)", name, exits-t.exits, kicks-t.kicks))
	t.exits, t.kicks = exits, kicks
}
