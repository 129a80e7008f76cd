package container

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"ostia/internal/file"
	"ostia/internal/spec"
	"ostia/internal/state"

	"golang.org/x/sys/unix"
)

// The status of a container (runtime.md#state, and paused as runc has it).
const (
	Creating = "creating"
	Created  = "created"
	Running  = "running"
	Paused   = "paused"
	Stopped  = "stopped"
)

// status works out what a container is doing: nobody is told when its process
// ends, so it is never stored. A host that has run out of descriptors or memory
// is an error: what cannot be looked at has not stopped.
func (r *Runtime) status(d *state.Dir, s *state.State) (string, error) {
	status, err := r.lastStatus(d, s)
	if status == Created && !d.Waits() {
		status = Running
	}
	return status, err
}

// lastStatus is status as the last command to its end has left it: a start may
// have been killed since.
func (r *Runtime) lastStatus(d *state.Dir, s *state.State) (string, error) {
	creating, created := d.Fifo()
	alive, err := s.Alive()
	switch {
	case err != nil:
		return "", failed("process of", s.ID, err)
	case s.Pid == 0 || creating && alive:
		if s.Pid == 0 && !d.Busy() {
			return Stopped, nil // its create was killed
		}
		return Creating, nil
	case !alive:
		return Stopped, nil
	}
	if s.Machine && machineStopped(s) {
		return Paused, nil
	}
	// Before created: exec would wait in the freezer, and resume refuse.
	if g := s.Cgroup; g != nil {
		frozen, err := g.Frozen()
		if exhausted(err) {
			return "", err
		}
		if err == nil && frozen {
			return Paused, nil
		}
	}
	if created {
		return Created, nil
	}
	return Running, nil
}

// exhausted reports whether an error says nothing about its subject, but that
// descriptors or memory have run out.
func exhausted(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOMEM)
}

// State returns one container's state.
func (r *Runtime) State(id string) (Info, error) {
	d, s, err := r.view(id)
	if err != nil {
		return Info{}, err
	}
	defer d.Close()
	return r.info(d, s)
}

func (r *Runtime) info(d *state.Dir, s *state.State) (Info, error) {
	status, err := r.status(d, s)
	i := Info{
		Version: spec.Version, ID: s.ID, Pid: s.Pid, Status: status, Bundle: s.Bundle,
		Rootfs: s.Rootfs, Created: s.Created, Owner: UserName(s.Owner), Annotations: s.Annotations,
	}
	if s.Unit != nil {
		i.Scope = s.Unit.Name
	}
	if i.Status != Stopped {
		return i, err
	}
	i.Pid = 0
	if _, unstarted := d.Fifo(); s.Machine && s.Pid != 0 && !unstarted {
		i.Fault, _ = machineFault(d) // without its reason the end stays an end
	}
	return i, nil
}

// List returns the state of every container, sorted by id. One that is deleted
// meanwhile is left out, and so is what is no folder. Those that can be read are
// returned along with the error of the others.
func (r *Runtime) List() ([]Info, error) {
	ids, err := state.List(r.Root)
	if err != nil {
		return nil, failed("list", r.Root, err)
	}
	slices.Sort(ids)
	infos := make([]Info, 0, len(ids))
	var unread []error
	for _, id := range ids {
		switch i, err := r.State(id); {
		case err == nil:
			infos = append(infos, i)
		case !isNotExist(err) && !errors.Is(err, unix.ENOTDIR):
			unread = append(unread, err)
		}
	}
	return infos, Join(unread)
}

func isNotExist(err error) bool { return errors.Is(err, state.ErrNotExist) }

// UserName is the name of a user of the host, or #UID.
func UserName(uid int) string {
	if uid == 0 {
		return "root"
	}
	text, err := file.Read("/etc/passwd")
	if err == nil {
		for line := range strings.SplitSeq(text, "\n") {
			f := strings.SplitN(line, ":", 4)
			if len(f) == 4 && f[2] == strconv.Itoa(uid) {
				return f[0]
			}
		}
	}
	return "#" + strconv.Itoa(uid)
}
