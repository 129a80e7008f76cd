package container

import (
	"time"

	"ostia/internal/cgroup"

	"golang.org/x/sys/unix"
)

// Event is one thing that Events tells: statistics, or with nil that the
// container ran out of memory.
type Event struct{ Stats *cgroup.Stats }

// Stats reads the statistics of a container that has not ended.
func (r *Runtime) Stats(id string) (*cgroup.Stats, error) {
	g, pidfd, err := r.watched(id)
	if err != nil {
		return nil, err
	}
	unix.Close(pidfd)
	s, err := g.Stats()
	return s, failed("statistics of", id, err)
}

// Events calls tell with statistics after every interval and whenever the
// container runs out of memory, until the container has ended or tell fails.
func (r *Runtime) Events(id string, interval time.Duration, tell func(Event) error) error {
	g, pidfd, err := r.watched(id)
	if err != nil {
		return err
	}
	defer unix.Close(pidfd)
	w, err := g.WatchOOM()
	if err != nil {
		return failed("events of", id, err)
	}
	defer w.Close()
	next := time.Now().Add(interval)
	for {
		fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}, w.Poll()}
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
		s, err := g.Stats()
		if err != nil {
			if fds[0].Revents = 0; pollNow(fds[:1]) {
				return nil // it ended meanwhile
			}
			return failed("statistics of", id, err)
		}
		if err := tell(Event{s}); err != nil {
			return err
		}
	}
}

// pollNow reports whether one of the descriptors has something.
func pollNow(fds []unix.PollFd) bool {
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
}

// watched is the cgroup of a container that has not ended, and a pidfd of its
// first process.
func (r *Runtime) watched(id string) (*cgroup.Group, int, error) {
	d, s, err := r.view(id)
	if err != nil {
		return nil, -1, err
	}
	defer d.Close()
	if s.Cgroup == nil {
		return nil, -1, failed("events of", id, errNoCgroup)
	}
	pidfd, err := s.Process()
	if err != nil {
		return nil, -1, failed("events of", id, ErrNotRunning)
	}
	return s.Cgroup, pidfd, nil
}
