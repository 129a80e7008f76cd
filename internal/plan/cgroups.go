package plan

import (
	"strings"

	"ostia/internal/spec"
	"ostia/internal/stage"

	"golang.org/x/sys/unix"
)

// cgroupMount mounts the cgroup file system: the container's own cgroup, or on
// version 2 without a cgroup namespace the host's tree, as runc and crun do. It
// is a bind mount, which in a cgroup namespace looks the same from inside as a
// new mount and, unlike one, is allowed in every user namespace.
func (c *compiler) cgroupMount(i int, m *spec.Mount, dest string, o *options) {
	hs := c.in.Host.Cgroups
	if c.unified() {
		mnt := c.source(i, m, o)
		c.setAttr(mnt, o.attr, 0, len(hs) == 0)
		c.setAttr(mnt, o.rattr, 0, true)
		c.attach(mnt, c.target(dest, directory, 0, inRoot))
		c.propagate(mnt, o.propagation)
		return
	}

	// Version 1: a tmpfs with a folder a hierarchy, and links for the single
	// names of joint ones.
	top := *o
	top.super = []string{"mode=755"}
	top.attr.set &^= unix.MOUNT_ATTR_RDONLY
	tmpfs := c.filesystem("tmpfs", "tmpfs", &top)
	c.attach(tmpfs, c.target(dest, directory, 0, inRoot))
	mnt, dir := c.Cell(), c.Cell()
	how := c.how(unix.O_DIRECTORY|unix.O_NOFOLLOW, unix.RESOLVE_BENEATH)
	for i := range hs {
		h := &hs[i]
		if h.Name == "unified" {
			continue // of a hybrid host: runc and crun leave it out
		}
		name := c.Str(h.Name)
		next := c.NewLabel()
		c.Do("bind "+h.Dir, unix.SYS_OPEN_TREE, stage.Imm(unix.AT_FDCWD), c.Str(h.Dir), stage.Imm(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)).To(mnt).Else(next)
		c.setAttr(mnt, o.attr, 0, false)
		c.Do("make directory", unix.SYS_MKDIRAT, tmpfs.Val(), name, stage.Imm(0o755))
		c.openat2("resolve", tmpfs.Val(), name, how).To(dir)
		c.attach(mnt, dir)
		for _, link := range h.Link {
			c.Do("link", unix.SYS_SYMLINKAT, name, tmpfs.Val(), c.Str(link)).Ignore(unix.EEXIST)
		}
		c.Place(next)
	}
	if o.attr.set&unix.MOUNT_ATTR_RDONLY != 0 {
		c.setAttr(tmpfs, attrs{set: unix.MOUNT_ATTR_RDONLY}, 0, false)
	}
	c.setAttr(tmpfs, o.rattr, 0, true)
	c.propagate(tmpfs, o.propagation)
}

// unified reports whether the host's cgroups are version 2 alone.
func (c *compiler) unified() bool { return len(c.in.Host.Cgroups) == 0 || c.in.Host.Cgroups[0].V2 }

// cgroupSource is what cgroupMount shows of version 2, and whether with all
// that is mounted below it.
func (c *compiler) cgroupSource() (path string, recursive bool) {
	if hs := c.in.Host.Cgroups; c.has(unix.CLONE_NEWCGROUP) && len(hs) > 0 {
		return hs[0].Dir, false
	}
	return "/sys/fs/cgroup", true
}

// cgroupOption reports whether an option is one of cgroup(7) or of the kernel's
// cgroup-v2 document. The mount that a container gets is the host's, so they are
// what they are there; the kernel ignores them in a cgroup namespace too.
func cgroupOption(o string) bool {
	name, _, _ := strings.Cut(o, "=")
	switch name {
	case "nsdelegate", "favordynmods", "nofavordynmods", "memory_localevents", "memory_recursiveprot", "memory_hugetlb_accounting",
		"pids_localevents", "all", "none", "name", "xattr", "noprefix", "clone_children", "cpuset_v2_mode", "release_agent",
		"blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "hugetlb", "memory", "misc", "net_cls", "net_prio", "perf_event", "pids", "rdma":
		return true
	}
	return false
}
