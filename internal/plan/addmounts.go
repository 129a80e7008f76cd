package plan

import (
	"strconv"

	"ostia/internal/stage"

	"golang.org/x/sys/unix"
)

// CompileMounts makes the plan that attaches the mounts of in.Spec in a
// container that exists. Bind mounts must be prepared: the host's paths are
// not in sight there.
func CompileMounts(in *Input) (*Plan, error) {
	for i := range in.Spec.Mounts {
		m := &in.Spec.Mounts[i]
		o := parseOptions(m)
		switch {
		case o.remount || o.bind && in.FDs.Prepared != nil && in.FDs.Prepared[i] >= 0:
		case o.bind:
			return nil, refuse("mounts", i, m.Destination, "a bind mount takes privileges on the host: only root can add one")
		case m.Type == "proc" || m.Type == "cgroup" || m.Type == "cgroup2":
			// A procfs shows the pid namespace of who mounts it.
			return nil, refuse("mounts", i, m.Destination, "type "+m.Type+" cannot be added to a container that exists: bind one")
		case !contextual(m.Type, &o):
			return nil, refuse("mounts", i, m.Destination, "type "+strconv.Quote(m.Type)+" cannot be added to a container that exists: mount it on the host and bind it")
		}
	}
	c := inContainer(in)
	if err := c.mounts(); err != nil {
		return nil, err
	}
	c.makeReadonly()
	c.exit(0)
	return c.finish()
}

// CompileUnmounts makes the plan that detaches the mounts of in.Spec in a
// container that exists, the last first.
func CompileUnmounts(in *Input) (*Plan, error) {
	c := inContainer(in)
	for i := len(in.Spec.Mounts) - 1; i >= 0; i-- {
		dest := in.Spec.Mounts[i].Destination
		if clean(dest) == "" {
			return nil, refuse("mounts", i, dest, "is the root itself")
		}
		c.About("mounts", i, dest)
		// A name is enough: nothing of this namespace leads out of it.
		c.Do("unmount", unix.SYS_UMOUNT2, c.Str("/"+clean(dest)), stage.Imm(unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW))
	}
	c.exit(0)
	return c.finish()
}

// inContainer begins a plan that changes a container's mounts from within. It
// stays outside of its pid namespace, where nobody can see it.
func inContainer(in *Input) *compiler {
	c := &compiler{Program: stage.New(), in: in, spec: in.Spec}
	c.empty = c.Str("")
	c.makeReport()
	c.begin()
	var flags uint64
	for i := range c.spec.Linux.Namespaces {
		flags |= c.spec.Linux.Namespaces[i].Flag
	}
	// The others are those whose view a filesystem shows, or whose root it needs.
	flags &= unix.CLONE_NEWNS | unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWIPC
	c.Do("join the container's namespaces", unix.SYS_SETNS, stage.Imm(in.FDs.PidNS), stage.Imm(int(flags)))
	if flags&unix.CLONE_NEWUSER != 0 {
		c.becomeRoot()
	}
	c.root = c.Cell()
	c.Do("open /", unix.SYS_OPENAT, stage.Imm(unix.AT_FDCWD), c.Str("/"), stage.Imm(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)).To(c.root)
	return c
}
