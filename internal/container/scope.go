package container

import (
	"errors"

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
	if !g.V2 {
		return nil, failed("cgroup manager", "systemd", errors.New("needs cgroup v2: boot with systemd.unified_cgroup_hierarchy=1, or use --cgroup-manager cgroupfs"))
	}
	limits, err := systemd.Limits(c.Linux.Resources, version)
	s.properties = append(annotated, limits...)
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
	d := &c.group.Dirs[0]
	if path, err := cgroup.Of(c.stage.Pid); err != nil || d.Mount+path != d.Path {
		return failed("cgroup", path, errors.New("systemd has put the container there instead of into "+d.Path))
	}
	if err := c.group.Adopt(c.spec.Linux.Resources); err != nil {
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
func setProperties(s *state.State, r *spec.Resources) (back func(), err error) {
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
		limits, err := systemd.Limits(r, version)
		if err != nil {
			return err
		}
		return m.Set(s.Unit, limits)
	}
	return func() { _ = set(before.Linux.Resources) }, set(r)
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
