package plan

import (
	"ostia/internal/linux"
	"ostia/internal/stage"

	"golang.org/x/sys/unix"
)

// TreeSuffices reports whether the container's mount namespace can be made of its
// root's tree alone (open_tree(2) with OPEN_TREE_NAMESPACE), and not of a copy of
// all of the host's mounts which pivot_root(2) then leaves. In it nothing of the
// host is in sight, so it is not for what needs that: hooks expect the container's
// mounts below the bundle's root (CDI, NVIDIA's), mount(2) makes a file system only
// over a path, a user namespace may mount procfs only where another is in sight,
// version 1 of cgroups is many mounts of which some may be missing, and a
// machine's monitor has not been seen in one.
func (in *Input) TreeSuffices() bool {
	s := in.Spec
	h := &s.Hooks
	if in.Host.UserNS || in.NoPivot || in.Machine != nil ||
		len(h.Prestart)+len(h.CreateRuntime)+len(h.CreateContainer) > 0 {
		return false
	}
	c := compiler{in: in, spec: s}
	if !c.isNew(unix.CLONE_NEWNS) {
		return false
	}
	// What is shared with the host wants the host's mounts as peers.
	if how, ok := propagation(s.Linux.RootfsPropagation); s.Linux.RootfsPropagation != "" && (!ok || how&unix.MS_REC == 0 || how&unix.MS_SHARED != 0) {
		return false
	}
	for i := range s.Mounts {
		m := &s.Mounts[i]
		o := parseOptions(m)
		switch {
		case o.remount || o.bind:
		case m.Type == "cgroup" || m.Type == "cgroup2":
			if !c.unified() {
				return false
			}
		case !contextual(m.Type, &o):
			return false
		}
	}
	return true
}

// treeNamespace makes the container's mount namespace of its root's tree and
// enters it. What comes from the host's paths is taken along.
func (c *compiler) treeNamespace(how int) {
	if how&unix.MS_UNBINDABLE != 0 {
		how = unix.MS_PRIVATE | unix.MS_REC // until the end: it could not be cloned
	}
	c.labels() // by the host's procfs
	c.cloneSources(how &^ unix.MS_REC)
	if len(c.spec.Linux.MaskedPaths) > 0 {
		c.nullDevice()
	}
	ns := c.Cell()
	c.About("root.path", -1, c.in.Rootfs)
	c.Do("make a mount namespace of it", unix.SYS_OPEN_TREE, stage.Imm(unix.AT_FDCWD), c.Str(c.in.Rootfs),
		stage.Imm(linux.OPEN_TREE_NAMESPACE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)).To(ns)
	c.Do("enter", unix.SYS_SETNS, ns.Val(), stage.Imm(unix.CLONE_NEWNS))
	c.root = c.Cell()
	c.Do("open", unix.SYS_OPENAT, stage.Imm(unix.AT_FDCWD), c.Str("/"), stage.Imm(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)).To(c.root)
	c.About("linux.rootfsPropagation", -1, "/")
	none := stage.Imm(0)
	c.Do("set propagation", unix.SYS_MOUNT, none, c.Str("/"), none, stage.Imm(how), none)
}

// cloneSources makes detached mounts of all paths of the host that the
// configuration mounts. As copies in a mount namespace would be, they are slaves
// of the host's or private.
func (c *compiler) cloneSources(propagation int) {
	sources := make([]stage.Cell, len(c.spec.Mounts))
	for i := range c.spec.Mounts {
		m := &c.spec.Mounts[i]
		o := parseOptions(m)
		path, recursive := c.hostSource(m, &o)
		if path == "" || c.in.FDs.Prepared != nil && c.in.FDs.Prepared[i] >= 0 {
			continue
		}
		c.About("mounts", i, m.Destination)
		sources[i] = c.source(i, m, &o)
		c.setAttr(sources[i], attrs{}, propagation, recursive)
	}
	c.sources = sources
}
