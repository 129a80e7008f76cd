package container

import (
	"time"

	"ostia/internal/launch"
	"ostia/internal/state"

	"golang.org/x/sys/unix"
)

// Run creates and starts a container and returns its exit status: the
// program's own, or 128+N for signal N. With Detach it returns 0 as soon as
// the entry point runs.
func (r *Runtime) Run(o CreateOptions) (status int, err error) {
	c := &creation{r: r, o: &o}
	defer c.close()
	if !o.Detach {
		launch.Forward()
		if !o.NoSubreaper {
			// Descendants that the container's first process leaves behind when
			// it has no pid namespace are reaped by us.
			_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
		}
	}
	if err := c.begin(); err != nil {
		return 0, c.report("run", err)
	}
	r.warn(passedOver(c.spec.Process, c.spec.Linux.Resources))
	if err := c.runHooks("hooks.poststart", c.spec.Hooks.Poststart, "running", c.stage.Pid); err != nil {
		c.undo()
		return 0, c.report("run", err)
	}
	// Others may work on the container while it runs.
	c.dir.Close()
	c.dir = nil
	if o.Detach {
		// A lost notification is no failure of the container, which runs.
		_ = c.ready.relay(c.stage.PidFD, c.stage.Pid)
		return 0, nil
	}
	c.relayBeside()
	c.trace.phase("running")
	status, err = c.tty.attend(c.stage)
	c.trace.phase("wait")
	if c.files != nil && err == nil {
		status, err = r.machineEnd(o.ID, status)
	}
	c.reportEnd(status, err)
	if !o.Keep {
		if e := r.deleteStopped(o.ID, c.state); e != nil && err == nil {
			err = e
		}
	}
	return status, err
}

// wait passes signals on to a stage's process until it ends, and returns its
// status as a shell would.
func wait(s *launch.Stage) (int, error) {
	s.ForwardTo()
	early := s.AwaitEnd()
	ws, err := s.Reap()
	switch {
	case err != nil:
		return 0, failed("wait for the container's process", "", err)
	case early:
		return 0, errKilledEarly
	case ws.Signaled():
		return 128 + int(ws.Signal()), nil
	}
	return ws.ExitStatus(), nil
}

// deleteStopped removes what is left of a container whose first process has
// ended.
func (r *Runtime) deleteStopped(id string, s *state.State) error {
	d, err := state.Open(r.Root, id)
	// Whoever ended it may not be done with it: checkpoint deletes it next.
	for wait := time.Millisecond; err == state.ErrBusy && wait < 10*time.Second; wait *= 2 {
		time.Sleep(wait)
		d, err = state.Open(r.Root, id)
	}
	if err == state.ErrNotExist {
		return nil // somebody was faster
	}
	if err != nil {
		return failed("delete", id, err)
	}
	defer d.Close()
	return r.destroy(d, s)
}
