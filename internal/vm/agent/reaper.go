package agent

import (
	"os"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"
)

// reaper takes the status of every process that ends, since init gets them all.
type reaper struct {
	mu      sync.Mutex
	waiting map[int]chan unix.WaitStatus
	// early holds the processes that ended before anybody asked, while a runner
	// is at work and its process's number is not yet known.
	early   map[int]unix.WaitStatus
	runners int
}

func newReaper() *reaper {
	r := &reaper{waiting: map[int]chan unix.WaitStatus{}, early: map[int]unix.WaitStatus{}}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	go func() {
		for range ended {
			r.reap()
		}
	}()
	return r
}

func (r *reaper) reap() {
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid == 0 {
			return
		}
		r.mu.Lock()
		if c, ok := r.waiting[pid]; ok {
			delete(r.waiting, pid)
			c <- ws
		} else if r.runners > 0 {
			r.early[pid] = ws
		}
		r.mu.Unlock()
	}
}

// begin is called before a runner starts, and end when what it left is known.
func (r *reaper) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runners++
}

// end returns where the status of pid will be, if it is not 0.
func (r *reaper) end(pid int) <-chan unix.WaitStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := make(chan unix.WaitStatus, 1)
	if ws, ok := r.early[pid]; ok {
		c <- ws
	} else if pid != 0 {
		r.waiting[pid] = c
	}
	if r.runners--; r.runners == 0 {
		clear(r.early)
	}
	return c
}
