package plan

import (
	"ostia/internal/spec"
	"ostia/internal/stage"

	"golang.org/x/sys/unix"
)

// standardDevices are in every container (config-linux.md#default-devices).
func standardDevices() [6]spec.Device {
	return [...]spec.Device{
		{Path: "/dev/null", Type: 'c', Major: 1, Minor: 3},
		{Path: "/dev/zero", Type: 'c', Major: 1, Minor: 5},
		{Path: "/dev/full", Type: 'c', Major: 1, Minor: 7},
		{Path: "/dev/random", Type: 'c', Major: 1, Minor: 8},
		{Path: "/dev/urandom", Type: 'c', Major: 1, Minor: 9},
		{Path: "/dev/tty", Type: 'c', Major: 5, Minor: 0},
	}
}

// devices makes the device nodes and links of /dev, unless /dev is the host's
// by a bind mount.
func (c *compiler) devices() {
	if c.devIsBound() {
		return
	}
	standard := standardDevices()
	for i := range standard {
		if !c.replaced(standard[i].Path) {
			c.About("", -1, standard[i].Path)
			c.device(&standard[i], -1)
		}
	}
	for i := range c.spec.Linux.Devices {
		d := &c.spec.Linux.Devices[i]
		c.About("linux.devices", i, d.Path)
		made := -1
		if c.in.FDs.Devices != nil {
			made = c.in.FDs.Devices[i]
		}
		c.device(d, made)
	}
	dev := c.devDir()
	for _, l := range [...][2]string{{"/proc/self/fd", "fd"}, {"/proc/self/fd/0", "stdin"},
		{"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"}, {"/proc/kcore", "core"}, {"pts/ptmx", "ptmx"}} {
		c.About("", -1, "/dev/"+l[1])
		o := c.Do("link", unix.SYS_SYMLINKAT, c.Str(l[0]), dev.Val(), c.Str(l[1]))
		o.Ignore(unix.EEXIST)
	}
}

// DevicePaths are those of the device nodes that a container in a user namespace
// gets from outside of it.
func DevicePaths(s *spec.Spec) (list []string) {
	for _, d := range standardDevices() {
		list = append(list, d.Path)
	}
	for i := range s.Linux.Devices {
		if d := &s.Linux.Devices[i]; d.Type != 'p' {
			list = append(list, DevicePath(d))
		}
	}
	return list
}

// DevicePath is where a device node is in the container.
func DevicePath(d *spec.Device) string { return "/" + clean(d.Path) }

// devDir is a descriptor of the container's /dev.
func (c *compiler) devDir() stage.Cell {
	for i := range c.attached {
		if c.attached[i].dest == "dev" {
			return c.attached[i].fd
		}
	}
	c.About("", -1, "/dev")
	return c.target("dev", directory, 0, inRoot)
}

func (c *compiler) devIsBound() bool {
	for i := range c.spec.Mounts {
		m := &c.spec.Mounts[i]
		if clean(m.Destination) == "dev" && parseOptions(m).bind {
			return true
		}
	}
	return false
}

// replaced reports whether linux.devices has a device of its own for path.
func (c *compiler) replaced(path string) bool {
	for i := range c.spec.Linux.Devices {
		if "/"+clean(c.spec.Linux.Devices[i].Path) == path {
			return true
		}
	}
	return false
}

// device makes one device node. In a user namespace mknod(2) is not allowed:
// there it is a bind mount, of a node that the runtime has made or else of the
// host's of that path.
func (c *compiler) device(d *spec.Device, made int) {
	path := clean(d.Path)
	if made >= 0 {
		fd := c.Cell()
		c.Set(fd, stage.Imm(made))
		c.attach(fd, c.target(path, file, 0, inRoot))
		return
	}
	if c.in.Host.UserNS && d.Type != 'p' {
		c.bindDevice("/"+path, path)
		return
	}
	mode := uint32(0o666)
	if d.FileMode != nil {
		mode = *d.FileMode & 0o7777
	}
	switch d.Type {
	case 'b':
		mode |= unix.S_IFBLK
	case 'p':
		mode |= unix.S_IFIFO
	default:
		mode |= unix.S_IFCHR
	}
	dir, name := c.parentOf(path)
	rdev := unix.Mkdev(uint32(d.Major), uint32(d.Minor))
	at := c.Str(name)
	exists, done := c.NewLabel(), c.NewLabel()
	c.Do("make device node", unix.SYS_MKNODAT, dir.Val(), at, stage.Imm(int(mode)), stage.Imm(int(int32(rdev)))).Else(exists)
	if uid, gid := owner(d.UID), owner(d.GID); uid != 0 || gid != 0 {
		c.Do("set owner", unix.SYS_FCHOWNAT, dir.Val(), at, stage.Imm(int(uid)), stage.Imm(int(gid)), stage.Imm(unix.AT_SYMLINK_NOFOLLOW))
	}
	c.Goto(done)
	c.Place(exists)
	// What the image has there will do if it is the same device.
	errno := c.Cell()
	c.Set(errno, c.FailedErrno())
	c.Expect("make device node", errno, unix.EEXIST)
	c.Do("stat", unix.SYS_NEWFSTATAT, dir.Val(), at, c.stat(), stage.Imm(unix.AT_SYMLINK_NOFOLLOW))
	c.Require("is there and is something else", c.statMode().Val(), unix.S_IFMT, int(mode)&unix.S_IFMT, unix.EEXIST)
	if d.Type != 'p' {
		c.Require("is there and is another device", c.statRdev().Val(), -1, int(int32(rdev)), unix.EEXIST)
	}
	c.Place(done)
}

func owner(id *uint32) uint32 {
	if id == nil {
		return 0
	}
	return *id
}

// parentOf opens the folder of a path of the container, made if missing.
func (c *compiler) parentOf(path string) (stage.Cell, string) {
	fd, rest := c.base(path)
	slash := -1
	for i := range len(rest) {
		if rest[i] == '/' {
			slash = i
		}
	}
	if slash < 0 {
		return fd, rest
	}
	return c.target(path[:len(path)-len(rest)+slash], directory, 0, inRoot), rest[slash+1:]
}

// bindDevice bind-mounts a device of the host.
func (c *compiler) bindDevice(source, dest string) {
	fd := c.Cell()
	c.Do("bind "+source, unix.SYS_OPEN_TREE, stage.Imm(unix.AT_FDCWD), c.Str(source), stage.Imm(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)).To(fd)
	c.setAttr(fd, attrs{set: unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NOEXEC}, 0, false)
	c.attach(fd, c.target(dest, file, 0, inRoot))
}

// nullDevice is a descriptor of the host's /dev/null, checked to be it: a mask
// must not be what an image or a neighbour put there (CVE-2025-31133).
func (c *compiler) nullDevice() stage.Cell {
	if c.null != 0 {
		return c.null
	}
	c.null = c.Cell()
	c.About("", -1, "/dev/null")
	path, here := c.Str("/dev/null"), stage.Imm(unix.AT_FDCWD)
	if c.in.Tree {
		c.Do("clone", unix.SYS_OPEN_TREE, here, path, stage.Imm(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_SYMLINK_NOFOLLOW)).To(c.null)
	} else {
		c.Do("open", unix.SYS_OPENAT, here, path, stage.Imm(unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC)).To(c.null)
	}
	c.Do("stat", unix.SYS_FSTAT, c.null.Val(), c.stat())
	c.Require("is not a character device", c.statMode().Val(), unix.S_IFMT, unix.S_IFCHR, unix.ENODEV)
	c.Require("is not device 1:3", c.statRdev().Val(), -1, int(unix.Mkdev(1, 3)), unix.ENODEV)
	return c.null
}
