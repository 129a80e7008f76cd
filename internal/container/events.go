package container

import (
	"time"

	"ostia/internal/cgroup"
	"ostia/internal/resctrl"
	"ostia/internal/state"

	"golang.org/x/sys/unix"
)

// Event is one thing that Events tells: statistics, or without any that the
// container ran out of memory.
type Event struct {
	Stats   *cgroup.Stats
	Resctrl *resctrl.Stats // nil without linux.intelRdt
}

// Stats reads the statistics of a container that has not ended.
func (r *Runtime) Stats(id string) (Event, error) {
	w, err := r.watched(id)
	if err != nil {
		return Event{}, err
	}
	unix.Close(w.pidfd)
	e, err := w.stats()
	return e, failed("statistics of", id, err)
}

// watched is a container whose events are asked for.
type watched struct {
	group   *cgroup.Group
	resctrl *resctrl.Group
	pidfd   int          // of its first process
	machine *state.State // nil for none
	kills   uint64       // of the guest's OOM killer, counted so far
	counted bool
}

// guestOOM reports whether a machine's guest ran out of memory since it was
// asked last: no cgroup of the host knows. What the guest counts is its word, and
// as good as one time.
func (w *watched) guestOOM(r *Runtime) bool {
	if w.machine == nil {
		return false
	}
	kills, known := r.guestKills(w.machine.ID)
	if !known {
		return false
	}
	more := w.counted && kills > w.kills
	w.kills, w.counted = kills, true
	return more
}

func (w *watched) stats() (e Event, err error) {
	if e.Stats, err = w.group.Stats(); err == nil && w.resctrl != nil {
		e.Resctrl, err = w.resctrl.Stats()
	}
	return e, err
}

// Events calls tell with statistics after every interval and whenever the
// container runs out of memory, until the container has ended or tell fails.
func (r *Runtime) Events(id string, interval time.Duration, tell func(Event) error) error {
	c, err := r.watched(id)
	if err != nil {
		return err
	}
	defer unix.Close(c.pidfd)
	w, err := c.group.WatchOOM()
	if err != nil {
		return failed("events of", id, err)
	}
	defer w.Close()
	c.guestOOM(r)
	next := time.Now().Add(interval)
	for {
		fds := []unix.PollFd{{Fd: int32(c.pidfd), Events: unix.POLLIN}, w.Poll()}
		// Rounded up, so that the time has come when poll says so.
		if _, err := unix.Poll(fds, int(max(time.Until(next)+time.Millisecond-1, 0)/time.Millisecond)); err != nil && err != unix.EINTR {
			return failed("poll", "", err)
		}
		times, gone, err := w.Read()
		for ; err == nil && times > 0; times-- {
			err = tell(Event{})
		}
		ended := gone || fds[0].Revents != 0
		if err != nil || ended {
			return failed("events of", id, err)
		}
		if time.Now().Before(next) {
			continue
		}
		next = time.Now().Add(interval)
		if c.guestOOM(r) {
			if err := tell(Event{}); err != nil {
				return err
			}
		}
		e, err := c.stats()
		if err != nil {
			if fds[0].Revents = 0; pollNow(fds[:1]) {
				return nil // it ended meanwhile
			}
			return failed("statistics of", id, err)
		}
		if err := tell(e); err != nil {
			return err
		}
	}
}

// pollNow reports whether one of the descriptors has something.
func pollNow(fds []unix.PollFd) bool {
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
}

// watched opens a container that has not ended.
func (r *Runtime) watched(id string) (*watched, error) {
	d, s, err := r.view(id)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if s.Cgroup == nil {
		return nil, failed("events of", id, errNoCgroup)
	}
	w := &watched{group: s.Cgroup}
	if s.Machine {
		w.machine = s
	}
	if w.resctrl, err = resctrlOf(s); err != nil {
		return nil, failed("events of", id, err)
	}
	if w.pidfd, err = process(s); err != nil {
		return nil, failed("events of", id, err)
	}
	return w, nil
}
