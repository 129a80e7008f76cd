package container

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"ostia/internal/cgroup"
	"ostia/internal/spec"
	"ostia/internal/state"
	"ostia/internal/systemd"
)

// scope is the systemd unit of a container that is being made.
type scope struct {
	unit       *systemd.Unit
	manager    *systemd.Manager
	properties []systemd.Property
	started    bool // perhaps: systemd has been asked to
}

// subgroup is crun's annotation for a cgroup below the unit's for the
// container's processes, so that systemd's and theirs are apart.
const subgroup = spec.AnnotationSubgroup

// connect reaches for systemd, which accepts that while the configuration is
// read.
func (s *scope) connect(user bool) (err error) {
	s.manager, err = systemd.Connect(user)
	return failed("cgroup manager", "systemd", err)
}

// resolve works out the unit and its cgroup. It makes nothing.
func (s *scope) resolve(c *spec.Spec, id string, user bool) (*cgroup.Group, error) {
	var err error
	if s.unit, err = systemd.Scope(c.Linux.CgroupsPath, id, user); err != nil {
		return nil, &spec.Error{Pointer: "linux.cgroupsPath", Err: err}
	}
	s.unit.Subgroup = c.Annotations[subgroup]
	annotated, err := systemd.Annotated(c.Annotations)
	if err != nil {
		return nil, err
	}
	above, version, err := s.manager.About()
	if err != nil {
		return nil, failed("cgroup manager", "systemd", err)
	}
	g, err := cgroup.Resolve(s.unit.Path(above), id)
	if err != nil {
		return nil, failed("cgroup", s.unit.Path(above), err)
	}
	if _, err := g.Sub(s.unit.Subgroup); err != nil {
		return nil, &spec.Error{Pointer: "annotations." + subgroup, Err: err}
	}
	if !g.V2 && user {
		// A user's systemd has no controllers there, and the user no other hierarchy.
		return nil, failed("cgroup manager", "systemd", errors.New("an ordinary user's needs cgroup v2: boot with systemd.unified_cgroup_hierarchy=1, or use --cgroup-manager cgroupfs"))
	}
	limits, err := systemd.Limits(c.Linux.Resources, version, g.V2)
	s.properties = append(annotated, limits...)
	if err == nil && !g.V2 {
		var devices []systemd.Property
		devices, err = systemd.Devices(c.Linux.Resources)
		s.properties = append(s.properties, devices...)
	}
	if err == nil {
		// Before the state names the cgroup as the container's, to be killed
		// and removed with it.
		err = g.Vacant()
	}
	return g, err
}

// enter has systemd make the unit around the stage, which waits for that, and
// sets what systemd has no property for.
func (c *creation) enter() error {
	s := c.scope
	s.started = true
	if err := s.manager.Start(s.unit, c.stage.Pid, s.properties); err != nil {
		s.started = !errors.Is(err, systemd.ErrRefused)
		return err
	}
	where, ok, err := c.group.BySystemd(c.stage.Pid)
	if err == nil && !ok {
		err = errors.New("systemd has not put the container there")
	}
	if err != nil {
		return failed("cgroup", where, err)
	}
	if err := c.group.Adopt(c.stage.Pid, c.spec.Linux.Resources); err != nil {
		return err
	}
	g := processes(c.group, s.unit)
	if s.unit.Subgroup != "" {
		if err := g.Take(c.stage.Pid); err != nil {
			return err
		}
	}
	return c.delegate(g)
}

// processes is the cgroup of a container's processes: that of the container, or
// the one below it that its unit names.
func processes(g *cgroup.Group, u *systemd.Unit) *cgroup.Group {
	if g == nil || u == nil || u.Subgroup == "" {
		return g
	}
	sub, err := g.Sub(u.Subgroup)
	if err != nil {
		return g // resolve has checked it
	}
	return sub
}

// attach has systemd put an exec's stage into the container's cgroup: whoever
// logged in over there may not do so by themselves (cgroups(7), "Delegation
// containment").
func attach(u *systemd.Unit, pid int) error {
	m, err := systemd.Connect(u.User)
	if err != nil {
		return err
	}
	defer m.Close()
	return m.Attach(u, pid)
}

// stop has systemd stop and forget a container's unit, whose processes are gone
// or going. That systemd is out of reach is no failure of a delete: it forgets
// an empty scope by itself.
func stop(u *systemd.Unit) error {
	m, err := systemd.Connect(u.User)
	if errors.Is(err, systemd.ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer m.Close()
	return m.Stop(u)
}

// setProperties has systemd change the limits of a container's unit. back
// changes them back.
func setProperties(d *state.Dir, s *state.State, r *spec.Resources) (back func(), err error) {
	before, err := config(s)
	if err != nil {
		return nil, err
	}
	set := func(r *spec.Resources) error {
		m, err := systemd.Connect(s.Unit.User)
		if err != nil {
			return err
		}
		defer m.Close()
		_, version, err := m.About()
		if err != nil {
			return err
		}
		limits, err := systemd.Limits(r, version, s.Cgroup.V2)
		if err != nil {
			return err
		}
		return undisturbed(d, s.Cgroup, func() error { return m.Set(s.Unit, limits) })
	}
	if r.CPU != nil && (value(r.CPU.Quota) != 0 || value(r.CPU.Period) != 0) {
		if err := completeQuota(s, r.CPU, before.Linux.Resources); err != nil {
			return nil, err
		}
	}
	return func() { _ = set(before.Linux.Resources) }, set(r)
}

// undisturbed changes a unit's properties. On version 1 systemd then denies all
// devices and allows them one by one again, which no process is to see: the
// container stands still meanwhile, as with runc. Where this process is killed
// before it lets it go on, the next command does.
func undisturbed(d *state.Dir, g *cgroup.Group, change func() error) error {
	if g.V2 {
		return change()
	}
	frozen, err := g.Frozen()
	if err == nil && frozen {
		return change()
	}
	if err == nil {
		err = stateFailed("state", d.Path(), d.Still())
	}
	if err != nil {
		return err
	}
	if err = g.Freeze(); err == nil {
		err = change()
		if e := g.Thaw(); err == nil {
			err = e
		}
	}
	if e := d.MovesAgain(); err == nil {
		err = stateFailed("state", d.Path(), e)
	}
	return err
}

// releaseStill lets a container go on that an update which was killed has left
// standing still.
func releaseStill(d *state.Dir, s *state.State) {
	if left, again := d.LeftStill(); left {
		_ = s.Cgroup.Thaw()
		again()
	}
}

// completeQuota adds the quota or the period that an update leaves out: the
// property is a share of time, which neither says alone. It is that of the
// configuration, since systemd may have rounded what the cgroup has.
func completeQuota(s *state.State, c *spec.CPU, before *spec.Resources) error {
	quota, period, err := s.Cgroup.Quota()
	if err != nil {
		return err
	}
	if before != nil && before.CPU != nil {
		quota, period = cmp.Or(value(before.CPU.Quota), quota), cmp.Or(value(before.CPU.Period), period)
	}
	quota, period = cmp.Or(value(c.Quota), quota), cmp.Or(value(c.Period), period)
	c.Quota, c.Period = &quota, &period
	return nil
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// settleIdle makes of an update what systemd has one property for, the weight:
// that of an idle cgroup is left out, and one that is given later ends it.
func (r *Runtime) settleIdle(g *cgroup.Group, u *spec.Resources) {
	warn := func(weight, idle string) {
		if r.Warn != nil {
			r.Warn(errors.New("unable to apply both " + weight + " and " + idle + " to systemd, ignoring " + weight))
		}
	}
	if c := u.CPU; c != nil && value(c.Shares) != 0 {
		switch {
		case c.Idle == nil && g.Idle():
			c.Idle = new(int64(0))
		case value(c.Idle) != 0:
			warn("linux.resources.cpu.shares", "cpu.idle")
			c.Shares = nil
		}
	}
	is := func(key string) func(spec.KeyValue) bool { return func(kv spec.KeyValue) bool { return kv.Key == key } }
	weight, idle := slices.IndexFunc(u.Unified, is("cpu.weight")), slices.IndexFunc(u.Unified, is("cpu.idle"))
	switch {
	case weight < 0:
	case idle < 0 && g.Idle():
		u.Unified = slices.Insert(u.Unified, 0, spec.KeyValue{Key: "cpu.idle", Value: "0"})
	case idle >= 0 && strings.TrimSpace(u.Unified[idle].Value) == "1":
		warn("linux.resources.unified.cpu.weight", "cpu.idle")
		u.Unified = slices.Delete(u.Unified, weight, weight+1)
	}
}

// checkScope checks what a configuration asks of systemd.
func (c *check) checkScope() {
	s := scope{}
	err := s.connect(c.r.mayGoWithout())
	if err == nil {
		defer s.manager.Close()
		_, err = s.resolve(c.spec, c.o.ID, c.r.mayGoWithout())
	}
	if err != nil {
		c.add(err)
	}
}
