package container

import (
	"errors"
	"strconv"
	"syscall"
	"time"

	"ostia/internal/cgroup"
	"ostia/internal/program"
	"ostia/internal/spec"
	"ostia/internal/state"

	"golang.org/x/sys/unix"
)

// Start lets a created container execute its entry point. With the socket of a
// service manager it then waits until the container says that it is ready, or
// ends.
func (r *Runtime) Start(id, notifySocket string) error {
	// Who has seen the container by state may be faster than its create.
	d, s, err := r.openPatiently(id)
	if err != nil {
		return err
	}
	ready, err := r.start(d, s, notifySocket)
	d.Close() // others may work on the container meanwhile
	if err != nil || ready == nil {
		return err
	}
	defer ready.close()
	pidfd, err := s.Process()
	if err != nil {
		return nil // it has ended
	}
	defer unix.Close(pidfd)
	return failed("NOTIFY_SOCKET", notifySocket, ready.relay(pidfd, s.Pid))
}

func (r *Runtime) start(d *state.Dir, s *state.State, notifySocket string) (*notifier, error) {
	id := s.ID
	if st, err := r.lastStatus(d, s); err != nil {
		return nil, err
	} else if st != Created {
		return nil, failed("start", id, &statusError{ErrNotCreated, st})
	}
	ready, err := newNotifier(d, notifySocket)
	if err != nil {
		return nil, failed("NOTIFY_SOCKET", notifySocket, err)
	}
	if err := d.Start(); err != nil {
		ready.close()
		if err == unix.ENXIO {
			if st, _ := r.status(d, s); st == Running {
				return nil, failed("start", id, &statusError{ErrNotCreated, st})
			}
			err = ErrNotRunning
		}
		return nil, stateFailed("start", id, err)
	}
	if !s.Poststart {
		return ready, nil
	}
	config, err := config(s)
	if err == nil {
		h := &hookRunner{state: s, bundle: s.Bundle, extensions: &config.Extensions}
		if err = h.run("hooks.poststart", config.Hooks.Poststart, Running, s.Pid); err != nil {
			// The end of the container (runtime.md#lifecycle). The error is told all the same.
			_ = r.destroy(d, s)
			_ = state.Report(r.Root, id, newReport("start", s.Bundle, err).encode())
		}
	}
	return ready, err
}

// statusError is an operation that the container's status does not allow.
type statusError struct {
	err    error
	status string
}

func (e *statusError) Error() string { return e.err.Error() + " (it is " + e.status + ")" }
func (e *statusError) Unwrap() error { return e.err }

// Kill sends a signal to the container's first process, or with all to every
// process in its cgroup.
func (r *Runtime) Kill(id string, sig syscall.Signal, all bool) error {
	d, s, err := r.view(id)
	if err != nil {
		return err
	}
	defer d.Close()
	st, err := r.status(d, s)
	if err != nil {
		return err
	}
	if all && s.Machine && sig != unix.SIGKILL && st == Running {
		_, err := r.askMachine(id, askKillAll, strconv.Itoa(int(sig)), askSeconds)
		return failed("kill", id, err)
	}
	// Without a pid namespace of its own the first process's end does not end
	// the others: what is left of a container that has stopped can be killed.
	if g := s.Cgroup; g != nil && (all || !s.OwnPidNS && sig == unix.SIGKILL && (st != Stopped || inhabited(g))) {
		return failed("kill", id, g.Kill(sig))
	}
	if st == Stopped {
		return failed("kill", id, ErrNotRunning)
	}
	fd, err := process(s)
	if err != nil {
		return failed("kill", id, err)
	}
	defer unix.Close(fd)
	err = unix.PidfdSendSignal(fd, sig, nil, 0)
	if err == unix.ESRCH {
		err = ErrNotRunning
	}
	if err == nil && sig == unix.SIGKILL && st == Paused {
		// On cgroup v1 a frozen process does not even die.
		err = s.Cgroup.Thaw()
	}
	return failed("kill", id, err)
}

// inhabited reports whether a cgroup has processes.
func inhabited(g *cgroup.Group) bool {
	pids, _ := g.Processes()
	return len(pids) > 0
}

// Delete removes a stopped container, or with force any container and what is
// left of one. Forcing one that does not exist is no error, as with runc.
func (r *Runtime) Delete(id string, force bool) error {
	open := r.open
	if force {
		// What a killed runtime has forked holds its lock for a moment longer.
		open = r.openPatiently
	}
	d, s, err := open(id)
	if err != nil {
		if force && isNotExist(err) {
			return nil
		}
		return err
	}
	defer d.Close()
	if st, err := r.status(d, s); err != nil {
		return err
	} else if st != Stopped && !force {
		if st != Created {
			return failed("delete", id, &statusError{ErrNotStopped, st})
		}
		// A created container has run nothing yet: runc deletes it.
	}
	return r.destroy(d, s)
}

// destroy kills what lives of a container and removes all that was made for
// it, its state last.
func (r *Runtime) destroy(d *state.Dir, s *state.State) error {
	id := s.ID
	g := s.Cgroup
	if fd, err := s.Process(); err != unix.ESRCH {
		if err != nil {
			return failed("delete", id, err)
		}
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		if g != nil {
			_ = g.Thaw()
		}
		// One stuck in the kernel cannot be waited for.
		program.EndsWithin(fd, 10*time.Second)
		unix.Close(fd)
	}
	if s.Unit != nil && s.Pid == 0 {
		g = nil // the unit is started around the process: it is none of this container's
	}
	if g != nil {
		// The end of a pid namespace's first process is the end of all in it.
		if !s.OwnPidNS || s.Pid == 0 {
			if err := g.Kill(unix.SIGKILL); err != nil {
				return failed("delete", id, err)
			}
		}
		var stopped error
		if s.Unit != nil && g.Vacant() == nil { // else it has become somebody else's
			stopped = stop(s.Unit)
		}
		if err := g.Remove(); err != nil {
			if stopped != nil {
				err = stopped
			}
			return failed("delete", id, err)
		}
	}
	if err := removeResctrl(s); err != nil {
		return failed("delete", id, err)
	}
	if err := takeOffMounts(s); err != nil {
		return err
	}
	var hooks []spec.Hook
	h := &hookRunner{state: s, bundle: s.Bundle}
	if s.Poststop {
		if config, err := config(s); err == nil {
			hooks, h.extensions = config.Hooks.Poststop, &config.Extensions
		}
	}
	if err := d.Remove(); err != nil {
		return stateFailed("delete", d.Path(), err)
	}
	h.stopped(hooks, r.Warn)
	return nil
}

// Pause freezes every process of the container.
func (r *Runtime) Pause(id string) error {
	d, s, err := r.open(id)
	if err != nil {
		return err
	}
	defer d.Close()
	g := s.Cgroup
	switch st, err := r.status(d, s); {
	case err != nil:
		return err
	case st != Running && st != Created:
		return failed("pause", id, &statusError{ErrNotRunning, st})
	case s.Machine:
		return failed("pause", id, signalMachine(s, unix.SIGSTOP))
	case g == nil:
		return failed("pause", id, errNoCgroup)
	}
	return failed("pause", id, g.Freeze())
}

// Resume thaws a paused container.
func (r *Runtime) Resume(id string) error {
	d, s, err := r.open(id)
	if err != nil {
		return err
	}
	defer d.Close()
	if st, err := r.status(d, s); err != nil {
		return err
	} else if st != Paused {
		return failed("resume", id, &statusError{ErrNotPaused, st})
	}
	if s.Machine {
		return failed("resume", id, signalMachine(s, unix.SIGCONT))
	}
	return failed("resume", id, s.Cgroup.Thaw())
}

// Processes returns the pids of the container's processes, as this process's
// pid namespace numbers them.
func (r *Runtime) Processes(id string) ([]int, error) {
	d, s, err := r.view(id)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if g := s.Cgroup; g != nil {
		pids, err := g.Processes()
		return pids, failed("processes of", id, err)
	}
	if st, err := r.status(d, s); err != nil || st == Stopped {
		return nil, err
	}
	return []int{s.Pid}, nil
}

// GuestProcesses is a table of the processes in a machine, as its container
// numbers them: "" for a container that is none, or whose entry point has not
// run or is paused.
func (r *Runtime) GuestProcesses(id string) (string, error) {
	d, s, err := r.view(id)
	if err != nil {
		return "", err
	}
	defer d.Close()
	if st, err := r.status(d, s); err != nil || !s.Machine || st != Running {
		return "", err
	}
	table, err := r.askMachine(id, askList, "", askSeconds)
	return table, failed("processes of", id, err)
}

// process is a pidfd of a container's first process.
func process(s *state.State) (int, error) {
	fd, err := s.Process()
	if err == unix.ESRCH {
		err = ErrNotRunning
	}
	return fd, err
}

// open locks a container and reads its state.
func (r *Runtime) open(id string) (*state.Dir, *state.State, error) {
	return r.with(id, state.Open)
}

// openPatiently is open that waits about a second for the lock.
func (r *Runtime) openPatiently(id string) (*state.Dir, *state.State, error) {
	d, s, err := r.open(id)
	for wait := time.Millisecond; errors.Is(err, state.ErrBusy) && wait < time.Second; wait *= 2 {
		time.Sleep(wait)
		d, s, err = r.open(id)
	}
	return d, s, err
}

// view reads a container's state without a lock.
func (r *Runtime) view(id string) (*state.Dir, *state.State, error) {
	return r.with(id, state.View)
}

func (r *Runtime) with(id string, open func(root, id string) (*state.Dir, error)) (*state.Dir, *state.State, error) {
	if !state.ValidID(id) {
		return nil, nil, failed("container id", strconv.Quote(id), ErrInvalidID)
	}
	d, err := open(r.Root, id)
	if err != nil {
		return nil, nil, failed("container", id, err)
	}
	s, err := d.Read()
	if err != nil {
		d.Close()
		return nil, nil, failed("state of", id, err)
	}
	if s.Unit != nil && s.Cgroup != nil && !s.Cgroup.V2 {
		releaseStill(d, s)
	}
	return d, s, nil
}

// config is the configuration that the container was made from.
func config(s *state.State) (*spec.Spec, error) {
	c, err := spec.Decode(s.Config)
	return c, failed("state of", s.ID, err)
}
