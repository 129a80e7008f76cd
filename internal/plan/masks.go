package plan

import (
	"slices"

	"ostia/internal/stage"

	"golang.org/x/sys/unix"
)

// readonlyPaths makes the paths read-only by a bind mount of each on itself.
// A path that does not exist is left out.
func (c *compiler) readonlyPaths() {
	fd := c.Cell()
	for i, path := range c.spec.Linux.ReadonlyPaths {
		c.About("linux.readonlyPaths", i, path)
		skip, absent := c.NewLabel(), c.NewLabel()
		c.resolve(clean(path), fd, absent)
		tree := c.Cell()
		c.Do("clone", unix.SYS_OPEN_TREE, fd.Val(), c.empty, stage.Imm(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH|unix.AT_RECURSIVE)).To(tree)
		c.setAttr(tree, attrs{set: unix.MOUNT_ATTR_RDONLY}, 0, true)
		c.attach(tree, fd)
		c.Goto(skip)
		c.Place(absent)
		c.allowAbsent()
		c.Place(skip)
	}
}

// maskedPaths covers files with /dev/null and directories with an empty
// read-only tmpfs. A path that does not exist is left out.
func (c *compiler) maskedPaths() {
	if len(c.spec.Linux.MaskedPaths) == 0 {
		return
	}
	null := c.nullDevice()
	fd, mask, usedEmpty, usedNull := c.Cell(), c.Cell(), c.Cell(), stage.Cell(0)
	if c.in.Tree {
		usedNull = c.Cell()
	}
	cloneMount := stage.Imm(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_EMPTY_PATH)
	// use takes a detached mount itself the first time and a clone of it after.
	// Before Linux 6.15 a detached mount cannot be cloned. Nor is one to be left
	// detached: taking it apart at its descriptor's close waits for an RCU grace
	// period, 0.1 ms.
	use := func(verb string, mnt, used stage.Cell) {
		again, done := c.NewLabel(), c.NewLabel()
		c.If(used.Val(), -1, 0, again)
		c.Set(used, stage.Imm(1))
		c.Set(mask, mnt.Val())
		c.Goto(done)
		c.Place(again)
		c.Do(verb, unix.SYS_OPEN_TREE, mnt.Val(), c.empty, cloneMount).To(mask)
		c.Place(done)
	}
	c.About("linux.maskedPaths", -1, "")
	empty := c.filesystem("tmpfs", "tmpfs", &options{
		attr:  attrs{set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC},
		super: []string{"nr_blocks=1", "nr_inodes=1"},
	})
	for i, path := range c.spec.Linux.MaskedPaths {
		if slices.Contains(c.spec.Linux.MaskedPaths[:i], path) {
			continue // engines add to what is there
		}
		c.About("linux.maskedPaths", i, path)
		absent, file, attach, next := c.NewLabel(), c.NewLabel(), c.NewLabel(), c.NewLabel()
		c.resolve(clean(path), fd, absent)
		c.Do("stat", unix.SYS_FSTAT, fd.Val(), c.stat())
		c.If(c.statMode().Val(), unix.S_IFMT, unix.S_IFDIR, file)
		use("clone empty directory", empty, usedEmpty)
		c.Goto(attach)
		c.Place(file)
		if c.in.Tree {
			use("clone /dev/null", null, usedNull)
		} else {
			c.Do("clone /dev/null", unix.SYS_OPEN_TREE, null.Val(), c.empty, cloneMount).To(mask)
		}
		c.Place(attach)
		c.attach(mask, fd)
		c.Goto(next)
		c.Place(absent)
		c.allowAbsent()
		c.Place(next)
	}
}

// allowAbsent goes on if the last failure was ENOENT or ENOTDIR, and fails
// with it otherwise.
func (c *compiler) allowAbsent() {
	errno, ok, other := c.Cell(), c.NewLabel(), c.NewLabel()
	c.Set(errno, c.FailedErrno())
	c.If(errno.Val(), -1, int(unix.ENOENT), other)
	c.Goto(ok)
	c.Place(other)
	c.Expect("resolve", errno, unix.ENOTDIR)
	c.Place(ok)
}
