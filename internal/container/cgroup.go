package container

import (
	"errors"
	"os"
	"strings"
	"syscall"

	"ostia/internal/cgroup"
	"ostia/internal/linux"
	"ostia/internal/plan"
)

var errNoCgroup = errors.New("the container has no cgroup of its own (it was made without, as an ordinary user)")

// resolveCgroup works out the container's cgroup; nil is none.
func (r *Runtime) resolveCgroup(path, id string) (*cgroup.Group, error) {
	if r.CgroupManager == "disabled" {
		return nil, nil
	}
	g, err := cgroup.Resolve(path, id)
	if err != nil {
		if r.mayGoWithout() {
			return nil, nil
		}
		return nil, failed("cgroup", path, err)
	}
	// Before the state names the cgroup as the container's, to be killed and
	// removed with it.
	return g, g.Vacant()
}

// createCgroup makes the container's cgroup with its limits. An ordinary user
// who asked for no limit and may not make one goes without, as with runc.
func (r *Runtime) createCgroup(c *creation) error {
	l := &c.spec.Linux
	resources := l.Resources
	if c.files != nil && resources != nil {
		// The guest counts its processes itself; here the threads of the
		// monitor would be counted.
		without := *resources
		without.Pids = nil
		resources = &without
	}
	err := c.group.Create(resources)
	if err == nil {
		return nil
	}
	// What Create made it has removed: what is there is somebody else's.
	c.group = nil
	if errors.Is(err, cgroup.ErrNotPermitted) && r.mayGoWithout() && (l.CgroupsPath == "" || l.Resources == nil) {
		c.state.Cgroup = nil
		return failed("state", c.dir.Path(), c.dir.Rewrite(c.state, c.config))
	}
	return err
}

func (r *Runtime) mayGoWithout() bool {
	switch r.Rootless {
	case "true":
		return true
	case "false":
		return false
	}
	return os.Geteuid() != 0 || linux.InUserNS()
}

// hierarchies is what a plan needs of a cgroup to mount it.
func hierarchies(g *cgroup.Group) []plan.Hierarchy {
	hs := make([]plan.Hierarchy, 0, len(g.Dirs))
	for i := range g.Dirs {
		d := &g.Dirs[i]
		h := plan.Hierarchy{V2: g.V2, Name: d.Name, Dir: d.Path}
		if strings.Contains(d.Name, ",") {
			h.Link = strings.Split(d.Name, ",")
		}
		hs = append(hs, h)
	}
	return hs
}

// joinCgroup has the stage enter a cgroup: born in it on v2, by the tasks
// files on v1.
func joinCgroup(g *cgroup.Group, f *files, in *plan.Input, sys *syscall.SysProcAttr) error {
	dir, tasks, err := g.Open()
	if err != nil {
		return failed("cgroup", "", err)
	}
	if dir >= 0 {
		sys.UseCgroupFD, sys.CgroupFD = true, dir
		f.ours = append(f.ours, dir)
	}
	for _, fd := range tasks {
		in.FDs.Cgroup = append(in.FDs.Cgroup, f.add(fd))
	}
	return nil
}
