package cgroup

import (
	"errors"
	"strings"
	"time"

	"ostia/internal/file"

	"golang.org/x/sys/unix"
)

// freezeTime is how long processes get to come to a halt: one that waits in
// the kernel for a disk or a file server does not.
const freezeTime = 10 * time.Second

var errNoFreezer = errors.New("this host has no freezer: mount the cgroup v1 freezer controller, or use cgroup v2")

// Freeze stops every process of the cgroup and waits until all stand still.
// When they do not within ten seconds they are thawed again and it is an error.
func (g *Group) Freeze() error {
	f, d, err := g.openFreezer()
	if err != nil {
		return err
	}
	defer f.close()
	if d.Version2() {
		if err = f.write("cgroup.freeze", "1"); err == nil {
			err = f.waitEvent("frozen 1", freezeTime)
		}
	} else {
		err = f.freezeV1()
	}
	if err != nil {
		_ = f.thaw(d)
		return &Error{"freeze", f.path, err}
	}
	return nil
}

// freezeV1 asks again while processes that are being made keep the state at
// FREEZING, and at times lets go so that a fork can end.
func (f folder) freezeV1() error {
	end := time.Now().Add(freezeTime)
	for try := 1; ; try++ {
		if err := f.write("freezer.state", "FROZEN"); err != nil {
			return err
		}
		state, err := f.read("freezer.state")
		if err != nil {
			return err
		}
		if state == "FROZEN\n" {
			return nil
		}
		if time.Now().After(end) {
			return errFreezeTimeout
		}
		if try%50 == 0 {
			_ = f.write("freezer.state", "THAWED")
			time.Sleep(10 * time.Millisecond)
		} else if try > 10 {
			time.Sleep(100 * time.Microsecond)
		}
	}
}

var errFreezeTimeout = errors.New("timed out after 10 s: a process waits in the kernel and cannot be stopped")

// Thaw lets the processes go on. A cgroup that does not exist is no error.
func (g *Group) Thaw() error {
	f, d, err := g.openFreezer()
	if errors.Is(err, unix.ENOENT) || err == errNoFreezer {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.close()
	if err := f.thaw(d); err != nil && err != unix.ENODEV {
		return &Error{"thaw", f.path, err}
	}
	return nil
}

func (f folder) thaw(d *Dir) error {
	if d.Version2() {
		return f.write("cgroup.freeze", "0")
	}
	return f.write("freezer.state", "THAWED")
}

// Frozen reports whether the cgroup itself was frozen; one that stands still
// because a cgroup above is frozen was not.
func (g *Group) Frozen() (bool, error) {
	f, d, err := g.openFreezer()
	if errors.Is(err, unix.ENOENT) || err == errNoFreezer {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.close()
	return f.frozen(d)
}

func (f folder) frozen(d *Dir) (bool, error) {
	file := "cgroup.freeze"
	if !d.Version2() {
		file = "freezer.self_freezing"
	}
	text, err := f.read(file)
	if err == unix.ENOENT || err == unix.ENODEV {
		return false, nil
	}
	if err != nil {
		return false, &Error{"read", f.path + "/" + file, err}
	}
	return text == "1\n", nil
}

// Freezer is the directory whose processes Freeze stops, "" where there is no
// freezer.
func (g *Group) Freezer() string {
	if i := g.freezer(); i >= 0 {
		return g.Dirs[i].Path
	}
	return ""
}

func (g *Group) freezer() int {
	if i := g.find("freezer"); i >= 0 {
		return i
	}
	return g.findUnified()
}

func (g *Group) openFreezer() (folder, *Dir, error) {
	i := g.freezer()
	if i < 0 {
		return folder{fd: -1}, nil, errNoFreezer
	}
	f, err := g.Dirs[i].open()
	return f, &g.Dirs[i], err
}

// waitEvent waits for a line of cgroup.events.
func (f folder) waitEvent(line string, limit time.Duration) error {
	fd, err := f.openFile("cgroup.events", unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for end := time.Now().Add(limit); ; {
		if _, err := unix.Seek(fd, 0, 0); err != nil {
			return err
		}
		text, err := file.ReadAll(fd)
		if err != nil {
			return err
		}
		if strings.Contains("\n"+text, "\n"+line+"\n") {
			return nil
		}
		left := time.Until(end)
		if left <= 0 {
			return errFreezeTimeout
		}
		// The kernel reports a change by POLLPRI. The short limit is for
		// changes between the read and the poll of an old kernel.
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}}
		if _, err := unix.Poll(fds, int(min(left, 100*time.Millisecond)/time.Millisecond)+1); err != nil && err != unix.EINTR {
			return err
		}
	}
}
