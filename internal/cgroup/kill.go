package cgroup

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// killTime is how long killed processes get to be gone.
const killTime = 10 * time.Second

// Kill sends a signal to every process of the cgroup and of those below it.
// With SIGKILL it returns when none is left, at most after ten seconds. A
// cgroup that does not exist is no error.
func (g *Group) Kill(sig syscall.Signal) error {
	if len(g.Dirs) == 0 {
		return nil
	}
	if sig != unix.SIGKILL {
		return g.signal(sig)
	}
	if g.V2 {
		return g.Dirs[0].killV2()
	}
	return g.killV1()
}

// killV2 ends the processes by cgroup.kill (Linux 5.14), which no fork escapes.
func (d *Dir) killV2() error {
	f, err := d.open()
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.close()
	if text, err := f.read("cgroup.events"); err == unix.ENODEV || strings.Contains(text, "populated 0\n") {
		return nil
	}
	err = f.write("cgroup.kill", "1")
	if err == unix.EOPNOTSUPP {
		// A threaded cgroup has none.
		err = f.signalAll(unix.SIGKILL)
	}
	if err == unix.ENODEV {
		return nil
	}
	if err != nil {
		return &Error{"kill", f.path, err}
	}
	if err = f.waitEvent("populated 0", killTime); err == errFreezeTimeout {
		return f.survivors()
	}
	if err != nil && err != unix.ENODEV {
		return &Error{"kill", f.path, err}
	}
	return nil
}

// killV1 freezes the processes so that none forks between the look and the
// signal, until none is left.
func (g *Group) killV1() error {
	f, err := g.Dirs[g.whole()].open()
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.close()
	end := time.Now().Add(killTime)
	for wait := 100 * time.Microsecond; ; wait = min(2*wait, 20*time.Millisecond) {
		pids, err := f.processes(nil)
		if err != nil || len(pids) == 0 {
			return err
		}
		if time.Now().After(end) {
			return f.survivors()
		}
		_ = f.write("freezer.state", "FROZEN")
		err = f.signalAll(unix.SIGKILL)
		// A frozen process does not even die on version 1.
		_ = f.write("freezer.state", "THAWED")
		if err != nil {
			return err
		}
		time.Sleep(wait)
	}
}

// signal sends another signal once to each process, frozen meanwhile.
func (g *Group) signal(sig syscall.Signal) error {
	f, err := g.Dirs[g.whole()].open()
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.close()
	if frozen, err := g.Frozen(); err != nil {
		return err
	} else if !frozen && g.Freeze() == nil {
		defer func() { _ = g.Thaw() }()
	}
	return f.signalAll(sig)
}

func (f folder) signalAll(sig syscall.Signal) error {
	pids, err := f.processes(nil)
	for _, pid := range pids {
		if pid == os.Getpid() {
			continue
		}
		if e := unix.Kill(pid, sig); e != nil && e != unix.ESRCH && err == nil {
			err = &Error{"signal process " + strconv.Itoa(pid) + " of", f.path, e}
		}
	}
	return err
}

// survivors is the error for processes that SIGKILL did not end in time.
func (f folder) survivors() error {
	pids, err := f.processes(nil)
	if err != nil || len(pids) == 0 {
		return err
	}
	return &Error{"kill", f.path, errors.New("process " + strconv.Itoa(pids[0]) + " and " + strconv.Itoa(len(pids)-1) +
		" more did not end within 10 s: they wait in the kernel")}
}
