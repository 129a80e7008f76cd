package launch

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// QuietSysmon gives the Go runtime's monitor thread a coarse timer. While a
// runtime waits for its child, sysmon looks for work 50,000 times a second for
// a start: a tenth of the CPU time of a whole run. It is the first thread that
// Go makes, with the first goroutine (toolchain/overlay.go): before that, or
// should the number be another's, nothing happens.
func QuietSysmon() {
	pid := unix.Getpid()
	if unix.Tgkill(pid, pid+1, 0) != nil {
		return
	}
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid+1)+"/timerslack_ns", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	_, _ = unix.Write(fd, []byte("1000000"))
	unix.Close(fd)
}
