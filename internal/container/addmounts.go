package container

import (
	"errors"
	"syscall"

	"ostia/internal/launch"
	"ostia/internal/plan"
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// AddMounts makes mounts in a container that has not ended: mounts is a list
// as in a configuration. When one fails, those before it are taken off again.
func (r *Runtime) AddMounts(id, mounts string) error {
	return r.changeMounts(id, mounts, func(m *mounting) error {
		err := m.add()
		var failed *mountError
		if errors.As(err, &failed) && failed.index > 0 {
			m.spec.Mounts = m.spec.Mounts[:failed.index]
			_ = m.remove() // the reason for all this is the error to tell
		}
		return err
	})
}

// RemoveMounts detaches mounts of a container that has not ended; of each only
// the destination matters. The last goes first.
func (r *Runtime) RemoveMounts(id, mounts string) error {
	return r.changeMounts(id, mounts, (*mounting).remove)
}

// mounting is a change of a container's mounts under way.
type mounting struct {
	creation // whose spec has the mounts to change instead of the container's
	in       plan.Input
}

// mountError is the failure of one of the mounts.
type mountError struct {
	index int
	err   error
}

func (e *mountError) Error() string { return e.err.Error() }
func (e *mountError) Unwrap() error { return e.err }

func (r *Runtime) changeMounts(id, mounts string, change func(*mounting) error) error {
	d, s, err := r.open(id)
	if err != nil {
		return err
	}
	defer d.Close()
	if st, err := r.status(d, s); err != nil {
		return err
	} else if st == Stopped || st == Creating {
		return failed("mounts of", id, &statusError{ErrNotRunning, st})
	}
	config, err := config(s)
	if err != nil {
		return err
	}
	if !hasNamespace(config, unix.CLONE_NEWNS) {
		return failed("mounts of", id, errNoMountNS)
	}
	if config.Mounts, err = spec.DecodeMounts(mounts); err != nil {
		return failed("mounts of", id, err)
	}
	if err := config.Validate(); err != nil {
		return failed("mounts of", id, err)
	}
	absoluteSources(config.Mounts, s.Bundle)
	return failed("mounts of", id, change(&mounting{creation: creation{r: r, spec: config, state: s, dir: d}}))
}

var errNoMountNS = errors.New("the container has no mount namespace of its own: they would be the host's")

// add attaches the mounts.
func (m *mounting) add() error {
	return m.run(plan.CompileMounts, func(f *files) error {
		for i := range m.spec.Mounts {
			if mount := &m.spec.Mounts[i]; isBind(mount) && canMount() || plan.IDMapped(mount) {
				if err := m.give(f, &m.in, i); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// remove detaches them.
func (m *mounting) remove() error {
	return m.run(plan.CompileUnmounts, func(*files) error { return nil })
}

// run compiles a plan for the container's mount namespace and carries it out.
func (m *mounting) run(compile func(*plan.Input) (*plan.Plan, error), open func(*files) error) error {
	if err := m.start(compile, open); err != nil {
		return err
	}
	defer func() {
		m.stage.Close()
		m.stage.Kill()
	}()
	return m.converse()
}

func (m *mounting) start(compile func(*plan.Input) (*plan.Plan, error), open func(*files) error) error {
	f := &files{list: []uintptr{none, none, none}}
	defer f.close()
	m.in = plan.Input{Spec: m.spec, FDs: plan.NoFDs(3)}
	sock, theirs, err := launch.Socket()
	if err != nil {
		return failed("socketpair", "", err)
	}
	m.in.FDs.Sync = f.add(theirs)
	pidfd, err := process(m.state)
	if err == nil {
		m.in.FDs.PidNS = f.add(pidfd)
		err = open(f)
	}
	if err == nil {
		m.plan, err = compile(&m.in)
	}
	if err == nil {
		m.stage, err = launch.Start(m.plan, f.list, &syscall.SysProcAttr{}, -1, sock, m.dir.Path())
	}
	if err != nil {
		unix.Close(sock)
	}
	return err
}

// converse serves the stage until it has ended.
func (m *mounting) converse() error {
	for {
		r, err := m.stage.Next()
		if err == launch.ErrClosed {
			return nil
		}
		switch {
		case err != nil:
		case r.Op != 0:
			note, _ := m.plan.Failed(r.Op)
			return &mountError{note.Index, (&judge{stage: m.stage, plan: m.plan, spec: m.spec}).failure(&r)}
		case r.Milestone == plan.WantCopyUp:
			err = copyUp(m.stage, int(r.Value), int(r.HeadLen))
		case r.Milestone == plan.WantTarget:
			t := m.plan.Targets[r.HeadLen]
			if err := makeTarget(m.stage, int(r.Value), t); err != nil {
				return &mountError{t.For.Index, err}
			}
		case r.Milestone == plan.WantMode:
			if err = tellMode(m.stage, r.Value); err == nil {
				continue
			}
		default:
			err = errors.New("the stage said something unknown")
		}
		if err == nil {
			err = m.stage.Go()
		}
		if err != nil && !errors.Is(err, launch.ErrClosed) { // else its last report says why
			return err
		}
	}
}
