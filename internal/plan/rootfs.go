package plan

import (
	"strconv"

	"ostia/internal/stage"

	"golang.org/x/sys/unix"
)

// rootfs makes the container's tree below the bundle's root, while the host's
// is in sight, and then makes it the root. Whatever the tree holds is hostile:
// every path in it is resolved with openat2 below a descriptor, once.
func (c *compiler) rootfs() error {
	c.sysctls()
	flags := unix.MS_SLAVE | unix.MS_REC
	if name := c.spec.Linux.RootfsPropagation; name != "" {
		var ok bool
		if flags, ok = propagation(name); !ok {
			return refuse("linux.rootfsPropagation", -1, "", "unknown propagation "+strconv.Quote(name)+": use private, slave, shared or unbindable, with or without a leading r")
		}
	}
	if c.in.Tree {
		c.treeNamespace(flags)
	} else {
		c.mountRoot(flags)
	}
	if err := c.mounts(); err != nil {
		return err
	}
	c.devices()
	c.console()
	c.hooksBeforePivot()
	if !c.in.Tree {
		c.labels()
	}
	c.readonlyPaths()
	c.maskedPaths()
	c.makeReadonly()
	if !c.in.Tree {
		c.enterRoot()
	}
	c.leaveMaking()
	c.makeWorkingDirectory(c.in.Process)
	if c.hasMountNS() && flags&(unix.MS_SHARED|unix.MS_UNBINDABLE) != 0 {
		c.About("linux.rootfsPropagation", -1, "/")
		c.Do("set propagation", unix.SYS_MOUNT, stage.Imm(0), c.Str("/"), stage.Imm(0), stage.Imm(flags), stage.Imm(0))
	}
	if c.spec.Root.Readonly {
		c.About("root.readonly", -1, "/")
		c.Do("make read-only", unix.SYS_MOUNT_SETATTR, stage.Imm(unix.AT_FDCWD), c.Str("/"), stage.Imm(0), c.readonlyAttr(), stage.Imm(mountAttrSize))
	}
	return nil
}

// mountRoot mounts the root's tree on itself: a mount of the container's own.
// Without a mount namespace it lies on the host, private, until delete takes it
// off with all that is mounted in it.
func (c *compiler) mountRoot(propagation int) {
	none := stage.Imm(0)
	if c.hasMountNS() {
		if propagation&unix.MS_UNBINDABLE != 0 {
			propagation = unix.MS_PRIVATE | unix.MS_REC // what is unbindable cannot be cloned
		}
		c.hostShared = propagation&unix.MS_REC == 0 || propagation&unix.MS_SHARED != 0
		c.About("linux.rootfsPropagation", -1, "/")
		c.Do("set propagation", unix.SYS_MOUNT, none, c.Str("/"), none, stage.Imm(propagation), none)
		if c.hostShared {
			c.unshareParent(propagation)
		}
	}
	c.About("root.path", -1, c.in.Rootfs)
	path := c.Str(c.in.Rootfs)
	c.root = c.Cell()
	c.Do("clone", unix.SYS_OPEN_TREE, stage.Imm(unix.AT_FDCWD), path, stage.Imm(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)).To(c.root)
	c.Do("mount", unix.SYS_MOVE_MOUNT, c.root.Val(), c.empty, stage.Imm(unix.AT_FDCWD), path, stage.Imm(unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_SYMLINKS))
	if !c.hasMountNS() {
		c.setAttr(c.root, attrs{}, unix.MS_PRIVATE, true)
	}
}

// unshareParent makes the mount that the root lies on slave or private: the
// root itself if it is a mount, else the nearest ancestor that is one.
// pivot_root(2) refuses a root that is shared, or whose parent is; and what is
// mounted in it would show on the host.
func (c *compiler) unshareParent(propagation int) {
	verb, how := "private", unix.MS_PRIVATE
	if propagation&unix.MS_SLAVE != 0 {
		verb, how = "slave", unix.MS_SLAVE
	}
	none := stage.Imm(0)
	dir := c.in.Rootfs
	done := c.NewLabel()
	for {
		next := c.NewLabel()
		c.Do("make "+dir+" "+verb, unix.SYS_MOUNT, none, c.Str(dir), none, stage.Imm(how), none).Else(next)
		c.Goto(done)
		c.Place(next)
		if dir == "/" {
			break
		}
		dir = parent(dir)
	}
	c.Place(done)
}

// enterRoot makes the tree the root and, in a mount namespace of the
// container's, drops the host's.
func (c *compiler) enterRoot() {
	c.About("root.path", -1, c.in.Rootfs)
	none := stage.Imm(0)
	dot := c.Str(".")
	c.Do("enter", unix.SYS_FCHDIR, c.root.Val())
	switch {
	case !c.hasMountNS():
		c.Do("chroot", unix.SYS_CHROOT, dot)
	case c.in.NoPivot:
		// An initramfs cannot be pivoted away from: move the tree over it.
		c.hideHost()
		c.Do("move to /", unix.SYS_MOUNT, dot, c.Str("/"), none, stage.Imm(unix.MS_MOVE), none)
		c.Do("chroot", unix.SYS_CHROOT, dot)
	default:
		// The new root may cover the old one: pivot_root(2), "pivot_root(".", ".")".
		old := c.Cell()
		if c.hostShared {
			c.Do("open /", unix.SYS_OPENAT, stage.Imm(unix.AT_FDCWD), c.Str("/"), stage.Imm(unix.O_PATH|unix.O_CLOEXEC)).To(old)
		}
		c.Do("pivot_root", unix.SYS_PIVOT_ROOT, dot, dot)
		if c.hostShared {
			// Or the host would lose its mounts with this copy of them.
			c.setAttr(old, attrs{}, unix.MS_SLAVE, true)
		}
		c.Do("drop the host's tree", unix.SYS_UMOUNT2, dot, stage.Imm(unix.MNT_DETACH))
	}
}

// leaveMaking goes to the container's root and closes all descriptors of the
// container's making; those that are kept lie below.
func (c *compiler) leaveMaking() {
	c.About("root.path", -1, c.in.Rootfs)
	c.Do("enter", unix.SYS_CHDIR, c.Str("/"))
	c.Do("close the descriptors of the making", unix.SYS_CLOSE_RANGE, stage.Imm(c.in.FDs.Kept+1), stage.Imm(-1), stage.Imm(0))
}

// hideHost takes the host's procfs and sysfs off, from under the tree that will
// cover them: the kernel lets a user namespace mount another one bare only
// where such a one is in sight.
func (c *compiler) hideHost() {
	none := stage.Imm(0)
	for _, dir := range c.in.Host.Bare {
		c.About("root.path", -1, dir)
		at, done, cover := c.Str(dir), c.NewLabel(), c.NewLabel()
		c.Do("make slave", unix.SYS_MOUNT, none, at, none, stage.Imm(unix.MS_SLAVE|unix.MS_REC), none)
		c.Do("take off", unix.SYS_UMOUNT2, at, stage.Imm(unix.MNT_DETACH)).Else(cover)
		c.Goto(done)
		c.Place(cover)
		// Locked in a user namespace.
		c.Do("cover", unix.SYS_MOUNT, none, at, c.Str("tmpfs"), none, none)
		c.Place(done)
	}
	c.About("root.path", -1, c.in.Rootfs)
}

// changeRoot is how an exec enters a container without a mount namespace.
func (c *compiler) changeRoot() {
	c.About("root.path", -1, c.in.Rootfs)
	c.Do("enter", unix.SYS_CHDIR, c.Str(c.in.Rootfs))
	c.Do("chroot", unix.SYS_CHROOT, c.Str("."))
}

func parent(path string) string {
	for i := len(path) - 1; i > 0; i-- {
		if path[i] == '/' {
			return path[:i]
		}
	}
	return "/"
}
