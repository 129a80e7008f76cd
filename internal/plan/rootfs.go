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
	c.mountRoot(flags)
	if err := c.mounts(); err != nil {
		return err
	}
	c.devices()
	c.console()
	c.hooksBeforePivot()
	c.labels()
	c.readonlyPaths()
	c.maskedPaths()
	c.enterRoot()
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
		initial := propagation
		if propagation&unix.MS_UNBINDABLE != 0 {
			initial = unix.MS_PRIVATE | unix.MS_REC // what is unbindable cannot be cloned
		}
		c.About("linux.rootfsPropagation", -1, "/")
		c.Do("set propagation", unix.SYS_MOUNT, none, c.Str("/"), none, stage.Imm(initial), none)
		if initial&unix.MS_REC == 0 || initial&unix.MS_SHARED != 0 {
			// pivot_root(2) refuses a root that is shared, or whose parent is; and
			// what is mounted in it would show on the host.
			c.makeParentPrivate()
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

// makeParentPrivate makes the mount that the root lies on private: the root
// itself if it is a mount, else the nearest ancestor that is one.
func (c *compiler) makeParentPrivate() {
	none := stage.Imm(0)
	dir := c.in.Rootfs
	done := c.NewLabel()
	for {
		next := c.NewLabel()
		c.Do("make "+dir+" private", unix.SYS_MOUNT, none, c.Str(dir), none, stage.Imm(unix.MS_PRIVATE), none).Else(next)
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
		c.Do("move to /", unix.SYS_MOUNT, dot, c.Str("/"), none, stage.Imm(unix.MS_MOVE), none)
		c.Do("chroot", unix.SYS_CHROOT, dot)
	default:
		// The new root may cover the old one: pivot_root(2), "pivot_root(".", ".")".
		c.Do("pivot_root", unix.SYS_PIVOT_ROOT, dot, dot)
		c.Do("drop the host's tree", unix.SYS_UMOUNT2, dot, stage.Imm(unix.MNT_DETACH))
	}
	c.Do("enter", unix.SYS_CHDIR, c.Str("/"))
	// All descriptors of the container's making; those that are kept lie below.
	c.Do("close the descriptors of the making", unix.SYS_CLOSE_RANGE, stage.Imm(c.in.FDs.Kept+1), stage.Imm(-1), none)
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
