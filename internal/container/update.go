package container

import (
	"strconv"

	"ostia/internal/spec"
)

// Update is a change of a container's limits.
type Update struct {
	Resources                  string // the text of a linux.resources object, of which a member that is absent changes nothing
	L3CacheSchema, MemBwSchema string // of linux.intelRdt; "" changes nothing
}

// Update changes the limits of a container that has not ended, and with them
// the configuration that is kept of it. An update that fails leaves everything
// as it was.
func (r *Runtime) Update(id string, u Update) error {
	update, err := spec.DecodeResources(u.Resources)
	if err != nil {
		return failed("update", id, err)
	}
	if err := r.update(id, u, update); err != nil {
		return err
	}
	r.warn(passedOver(nil, update))
	return nil
}

func (r *Runtime) update(id string, u Update, update *spec.Resources) error {
	update.Devices = nil
	d, s, err := r.open(id)
	if err != nil {
		return err
	}
	defer d.Close()
	if st, err := r.status(d, s); err != nil {
		return err
	} else if st == Stopped || st == Creating {
		return failed("update", id, &statusError{ErrNotRunning, st})
	}
	if s.Cgroup == nil {
		return failed("update", id, errNoCgroup)
	}
	config, err := updatedConfig(s.Config, u.Resources, update)
	if err != nil {
		return failed("update", id, err)
	}
	if s.Machine && update.Pids != nil {
		// The guest counts its processes itself: here they are threads of the monitor.
		if err := r.updateGuest(id, update.Pids); err != nil {
			return failed("update", id, err)
		}
		update.Pids = nil
	}
	commit := func() error {
		if config, err = updateResctrl(s, config, &u); err != nil {
			return failed("update", id, err)
		}
		return stateFailed("state", d.Path(), d.Rewrite(s, config))
	}
	if s.Unit == nil {
		return s.Cgroup.Update(update, commit)
	}
	r.settleIdle(s.Cgroup, update)
	// First the kernel, which knows what is wrong with a limit, then systemd,
	// and what that has rounded once more.
	return s.Cgroup.Update(update, func() error {
		back, err := setProperties(d, s, update)
		if err != nil {
			return failed("update", id, err)
		}
		if err = s.Cgroup.Update(update, commit); err != nil {
			back()
		}
		return err
	})
}

// updateGuest changes the limit on processes that a machine's guest holds.
func (r *Runtime) updateGuest(id string, pids *spec.Pids) error {
	if pids.Limit == nil {
		return nil
	}
	_, err := r.askMachine(id, askUpdate, `{"pids":{"limit":`+strconv.FormatInt(*pids.Limit, 10)+`}}`, askSeconds)
	return err
}

// updatedConfig is the configuration with the update in it. It also completes
// the update: memory.swap counts memory and swap together, so that each of the
// two limits has a meaning with the other only.
func updatedConfig(config, resources string, update *spec.Resources) (string, error) {
	m := update.Memory
	if m != nil && m.Limit != nil && *m.Limit == -1 && m.Swap == nil {
		// A memory limit that is lifted lifts that of both.
		var err error
		if config, err = spec.Merge(config, `{"linux":{"resources":{"memory":{"swap":0}}}}`); err != nil {
			return "", err
		}
	}
	config, err := spec.Merge(config, `{"linux":{"resources":`+resources+`}}`)
	if err != nil {
		return "", err
	}
	merged, err := spec.Decode(config)
	if err != nil {
		return "", err
	}
	if m != nil && (m.Limit != nil || m.Swap != nil) {
		m.Limit, m.Swap = merged.Linux.Resources.Memory.Limit, merged.Linux.Resources.Memory.Swap
	}
	return config, nil
}
