package container

import (
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"

	"ostia/internal/cgroup"
	"ostia/internal/linux"
	"ostia/internal/plan"
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
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
		return c.delegate(c.group)
	}
	// What Create made it has removed: what is there is somebody else's.
	c.group = nil
	if errors.Is(err, cgroup.ErrNotPermitted) && r.mayGoWithout() && (l.CgroupsPath == "" || l.Resources == nil) {
		c.state.Cgroup = nil
		return stateFailed("state", c.dir.Path(), c.dir.Rewrite(c.state, c.config))
	}
	return err
}

// delegate gives a cgroup to the container's user where that is safe and the
// container can do something with it: on version 2, in a cgroup namespace of
// its own, with a cgroup mount to write to (config-linux.md#cgroup-ownership).
func (c *creation) delegate(g *cgroup.Group) error {
	uid, known := c.hostID(c.spec.Process.User.UID)
	if !g.V2 || !known || uid == os.Geteuid() || !isFresh(c.spec, unix.CLONE_NEWCGROUP) || !writesCgroups(c.spec) {
		return nil
	}
	err := g.Delegate(uid)
	if errors.Is(err, unix.EPERM) && os.Geteuid() != 0 {
		return nil // an ordinary user cannot give anything away; what maps to root is the user's already
	}
	return err
}

// hostID is the host's id for a user of the container; that of a user namespace
// which is joined is not known.
func (c *creation) hostID(id uint32) (uid int, known bool) {
	if !hasNamespace(c.spec, unix.CLONE_NEWUSER) {
		return int(id), true
	}
	for _, m := range c.spec.Linux.UIDMappings {
		if id >= m.ContainerID && id-m.ContainerID < m.Size {
			return int(m.HostID + id - m.ContainerID), true
		}
	}
	return 0, false
}

func isFresh(s *spec.Spec, flag uint64) bool {
	for i := range s.Linux.Namespaces {
		if n := &s.Linux.Namespaces[i]; n.Flag == flag {
			return n.Path == ""
		}
	}
	return false
}

// writesCgroups reports whether the configuration mounts the cgroup file
// system for writing: of several mounts the last is what shows.
func writesCgroups(s *spec.Spec) bool {
	for i := len(s.Mounts) - 1; i >= 0; i-- {
		m := &s.Mounts[i]
		if (m.Source == "cgroup" || m.Type == "cgroup" || m.Type == "cgroup2") && plan.SamePath(m.Destination, "/sys/fs/cgroup") {
			return !slices.Contains(m.Options, "ro")
		}
	}
	return false
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

func (c *creation) openCgroup(f *files, in *plan.Input, sys *syscall.SysProcAttr) error {
	if c.group == nil {
		return nil
	}
	if c.scope != nil {
		in.Placed = true
		in.Host.Cgroups = hierarchies(processes(c.group, c.scope.unit))
		return nil
	}
	in.Host.Cgroups = hierarchies(c.group)
	return joinCgroup(c.group, f, in, sys)
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

// joinByFile has a stage that was to be born in its cgroup on v2 enter it as on
// v1, by writing to a file: only clone3(2) puts a child there, and the seccomp
// profile of a container around the runtime may answer that with ENOSYS.
func joinByFile(f *files, in *plan.Input, sys *syscall.SysProcAttr) bool {
	if !sys.UseCgroupFD {
		return false
	}
	fd, err := unix.Openat(sys.CgroupFD, "cgroup.procs", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	sys.UseCgroupFD = false
	in.FDs.Cgroup = append(in.FDs.Cgroup, f.add(fd))
	return true
}
