package plan

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"ostia/internal/spec"
	"ostia/internal/stage"

	"golang.org/x/sys/unix"
)

const mountAttrSize = 32

// setAttr changes a mount's attributes with mount_setattr(2).
func (c *compiler) setAttr(mnt stage.Cell, a attrs, propagation int, recursive bool) {
	if a != (attrs{}) || propagation != 0 {
		c.changeAttr(mnt, a, propagation, recursive)
	}
}

func (c *compiler) changeAttr(mnt stage.Cell, a attrs, propagation int, recursive bool) stage.Op {
	flags := unix.AT_EMPTY_PATH
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	attr := c.U64(a.set, a.clr, uint64(propagation&^unix.MS_REC), 0)
	return c.Do("set attributes", unix.SYS_MOUNT_SETATTR, mnt.Val(), c.empty, stage.Imm(flags), attr, stage.Imm(mountAttrSize))
}

// mounts attaches everything of the spec's mounts, in order.
func (c *compiler) mounts() error {
	for i := range c.spec.Mounts {
		m := &c.spec.Mounts[i]
		c.About("mounts", i, m.Destination)
		if err := c.mount(i, m); err != nil {
			return err
		}
	}
	return nil
}

func (c *compiler) mount(i int, m *spec.Mount) error {
	o := parseOptions(m)
	dest := c.destination(m)
	if dest == "" {
		return refuse("mounts", i, m.Destination, "is the root itself: use root.path")
	}
	if o.nofollowDest && (dest == "proc/self" || dest == "proc/thread-self") {
		// As runc and crun refuse it: programs would not find themselves.
		return refuse("mounts", i, m.Destination, "would hide a link of procfs that every program depends on: leave it out")
	}
	if o.bind && len(o.super) > 0 {
		return refuse("mounts", i, m.Destination, "a bind mount has no options of a file system: leave out "+strconv.Quote(o.super[0]))
	}
	if (m.Type == "cgroup" || m.Type == "cgroup2") && !o.remount {
		for _, opt := range o.super {
			if !cgroupOption(opt) {
				return refuse("mounts", i, m.Destination, "no cgroup file system has the option "+strconv.Quote(opt)+": leave it out")
			}
		}
	}
	resolve, flags := uint64(inRoot), uint64(0)
	switch {
	case m.Type == "proc" || m.Type == "sysfs":
		// A link here would move procfs away from under the paths that are
		// masked in it (CVE-2023-27561).
		resolve |= unix.RESOLVE_NO_SYMLINKS
	case o.nofollowDest:
		flags = unix.O_NOFOLLOW
	}
	switch {
	case o.remount:
		fd := c.target(dest, directory, flags, resolve)
		c.reconfigure(fd, &o)
		c.setAttr(fd, o.attr, 0, false)
		c.setAttr(fd, o.rattr, 0, true)
		c.propagate(fd, o.propagation)
	case c.in.FDs.Prepared != nil && c.in.FDs.Prepared[i] >= 0:
		// Made by the runtime, with its attributes: an idmapped mount, or a
		// source that root of the user namespace may not reach.
		fd := c.Cell()
		c.Set(fd, stage.Imm(c.in.FDs.Prepared[i]))
		c.attachBind(fd, dest, &o, flags, resolve)
	case o.bind:
		c.bind(i, m, dest, &o, flags, resolve)
	case m.Type == "cgroup" || m.Type == "cgroup2":
		c.cgroupMount(i, m, dest, &o)
	case m.Type == "tmpfs":
		c.tmpfs(i, m, dest, &o, flags, resolve)
	default:
		mnt := c.sysfsOr(m, &o)
		c.attach(mnt, c.target(dest, directory, flags, resolve))
		c.setAttr(mnt, o.rattr, 0, true)
		c.propagate(mnt, o.propagation)
		c.attached = append(c.attached, attachment{dest, mnt})
	}
	return nil
}

func (c *compiler) destination(m *spec.Mount) string { return Destination(m, c.in.Rootfs) }

// Destination is where a mount goes, cleaned and without the leading slash. One
// below the root's own path on the host is meant to be below the root, as with
// runc.
func Destination(m *spec.Mount, rootfs string) string {
	if below, ok := BelowRoot(rootfs, m.Destination); ok {
		return below
	}
	return clean(m.Destination)
}

// tmpfs mounts a new tmpfs. It becomes read-only at the end: what follows may
// need a folder in it. Unless an option gives its mode it has that of the
// folder that it covers, as an option: the kernel shows no other in its table.
func (c *compiler) tmpfs(i int, m *spec.Mount, dest string, o *options, flags, resolve uint64) {
	readonly := o.attr.set&unix.MOUNT_ATTR_RDONLY != 0
	o.attr.set &^= unix.MOUNT_ATTR_RDONLY
	found := func(stage.Cell) {}
	if !slices.ContainsFunc(o.super, func(opt string) bool { return strings.HasPrefix(opt, "mode=") }) {
		o.inherited = c.Cell()
		found = c.inheritMode(m.Type, o)
	}
	target := c.targetFound(dest, directory, flags, resolve, found)
	mnt := c.filesystem(m.Type, m.Source, o)
	if o.tmpcopyup {
		c.copyUp(target, mnt)
	}
	c.attach(mnt, target)
	c.setAttr(mnt, o.rattr, 0, true)
	c.propagate(mnt, o.propagation)
	if readonly {
		c.readonly = append(c.readonly, readonlyMount{i, m.Destination, mnt})
	}
	if !o.tmpcopyup {
		c.attached = append(c.attached, attachment{dest, mnt})
	}
}

// inheritMode has the runtime, which can count in octal, spell the mode of the
// folder that is there. o.inherited is then the address of the option's text, in
// front of the others where mount(2) takes them as one.
func (c *compiler) inheritMode(typ string, o *options) func(fd stage.Cell) {
	text, digits := c.Str("0000"), 0
	if !contextual(typ, o) {
		digits = len("mode=")
		text = c.Str("mode=0000," + c.legacyOptions(o))
		c.Set(o.inherited, text.Plus(len("mode=0000,")))
	}
	return func(fd stage.Cell) {
		n := c.Cell()
		c.Do("stat", unix.SYS_FSTAT, fd.Val(), c.stat())
		c.Set(c.reportWord(ReportValue), c.statMode().Val())
		c.milestone(WantMode)
		c.Do("wait for the runtime", unix.SYS_READ, stage.Imm(c.in.FDs.Sync), text.Plus(digits), stage.Imm(len("0000"))).To(n)
		c.Require("the runtime is gone", n.Val(), -1, len("0000"), unix.EPIPE)
		c.Set(o.inherited, text)
	}
}

// readonlyMount is a mount that is to become read-only.
type readonlyMount struct {
	index int
	dest  string
	fd    stage.Cell
}

// makeReadonly makes read-only what could not be before.
func (c *compiler) makeReadonly() {
	for _, m := range c.readonly {
		c.About("mounts", m.index, m.dest)
		c.setAttr(m.fd, attrs{set: unix.MOUNT_ATTR_RDONLY}, 0, false)
	}
}

// copyUp has the runtime copy what the image holds at the target into the
// tmpfs that will cover it.
func (c *compiler) copyUp(target, tmpfs stage.Cell) {
	c.Set(c.reportWord(ReportValue), target.Val())
	c.Set(c.reportWord(ReportHead), tmpfs.Val())
	c.milestone(WantCopyUp)
	c.await()
}

// attach puts a detached mount on a descriptor of the container's tree.
func (c *compiler) attach(mnt, target stage.Cell) {
	c.Do("attach", unix.SYS_MOVE_MOUNT, mnt.Val(), c.empty, target.Val(), c.empty, stage.Imm(unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH))
}

// propagate sets propagation types one after the other: slave then shared is
// not the same as shared alone.
func (c *compiler) propagate(mnt stage.Cell, types []int) {
	for _, p := range types {
		c.setAttr(mnt, attrs{}, p, p&unix.MS_REC != 0)
	}
}

// bind mounts a path of the host, or of the container's own root as the mounts
// before have made it.
func (c *compiler) bind(i int, m *spec.Mount, dest string, o *options, flags, resolve uint64) {
	var fd stage.Cell
	if below, ok := BelowRoot(c.in.Rootfs, m.Source); ok {
		follow := uint64(0)
		if o.nofollowSource {
			follow = unix.O_NOFOLLOW
		}
		open := unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_EMPTY_PATH
		if o.recursive {
			open |= unix.AT_RECURSIVE
		}
		source := c.Cell()
		fd = c.Cell()
		c.openat2("bind "+m.Source, c.root.Val(), c.Str(below), c.how(follow, inRoot)).To(source)
		c.Do("bind "+m.Source, unix.SYS_OPEN_TREE, source.Val(), c.empty, stage.Imm(open)).To(fd)
		c.Do("close", unix.SYS_CLOSE, source.Val())
	} else {
		fd = c.source(i, m, o)
	}
	c.bindAttributes(fd, o)
	c.setAttr(fd, o.rattr, 0, true)
	if IDMapped(m) {
		// It takes the capabilities of the namespace that owns the file system.
		c.Set(c.reportWord(ReportValue), fd.Val())
		c.Set(c.reportWord(ReportHead), stage.Imm(i))
		c.milestone(WantIDMap)
		c.await()
	}
	c.attachBind(fd, dest, o, flags, resolve)
}

// hostSource is the path of the host whose mount an entry shows, and whether
// with all that is mounted below it; none for a new file system, or for what the
// container's own root holds.
func (c *compiler) hostSource(m *spec.Mount, o *options) (path string, recursive bool) {
	switch {
	case o.remount:
	case o.bind:
		if _, ok := BelowRoot(c.in.Rootfs, m.Source); !ok {
			return m.Source, o.recursive
		}
	case m.Type == "cgroup" || m.Type == "cgroup2":
		return c.cgroupSource()
	}
	return "", false
}

// source is a detached mount of the entry's path of the host.
func (c *compiler) source(i int, m *spec.Mount, o *options) stage.Cell {
	if c.sources != nil {
		return c.sources[i]
	}
	path, recursive := c.hostSource(m, o)
	flags := unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	if o.nofollowSource {
		flags |= unix.AT_SYMLINK_NOFOLLOW
	}
	fd := c.Cell()
	c.Do("bind "+path, unix.SYS_OPEN_TREE, stage.Imm(unix.AT_FDCWD), c.Str(path), stage.Imm(flags)).To(fd)
	return fd
}

// attachBind attaches a bind mount on a target of the source's kind.
func (c *compiler) attachBind(fd stage.Cell, dest string, o *options, flags, resolve uint64) {
	c.Do("stat", unix.SYS_FSTAT, fd.Val(), c.stat())
	done := c.NewLabel()
	if o.copySymlink {
		other := c.NewLabel()
		c.If(c.statMode().Val(), unix.S_IFMT, unix.S_IFLNK, other)
		c.attach(fd, c.target(dest, likeSource, flags|unix.O_NOFOLLOW, resolve))
		c.Goto(done)
		c.Place(other)
	}
	c.attach(fd, c.target(dest, likeSource, flags, resolve))
	c.Place(done)
	c.propagate(fd, o.propagation)
}

// filesystem makes a detached mount of a new filesystem.
func (c *compiler) filesystem(typ, source string, o *options) stage.Cell {
	if !contextual(typ, o) {
		return c.legacyMount(typ, source, o)
	}
	c.useContext()
	mnt := c.Cell()
	c.Do("new "+typ, unix.SYS_FSOPEN, c.Str(typ), stage.Imm(unix.FSOPEN_CLOEXEC)).To(c.fsfd)
	if source != "" {
		c.fsconfig("source=" + source)
	}
	c.superFlags(o)
	if label := c.spec.Linux.MountLabel; label != "" && typ != "proc" && typ != "sysfs" && typ != "mqueue" {
		c.fsconfig(MountContext(c.spec) + "=" + label)
	}
	if o.inherited != 0 {
		inherit, done := c.NewLabel(), c.NewLabel()
		c.If(o.inherited.Val(), -1, 0, inherit)
		c.Goto(done)
		c.Place(inherit)
		c.Do("option mode", unix.SYS_FSCONFIG, c.fsfd.Val(), stage.Imm(unix.FSCONFIG_SET_STRING), c.Str("mode"), o.inherited.Val(), stage.Imm(0))
		c.Place(done)
	}
	for _, opt := range o.super {
		c.fsconfig(opt)
	}
	zero := stage.Imm(0)
	c.Do("create", unix.SYS_FSCONFIG, c.fsfd.Val(), stage.Imm(unix.FSCONFIG_CMD_CREATE), zero, zero, zero)
	c.Do("mount", unix.SYS_FSMOUNT, c.fsfd.Val(), stage.Imm(unix.FSMOUNT_CLOEXEC), stage.Imm(int(o.attr.set))).To(mnt)
	c.Do("close", unix.SYS_CLOSE, c.fsfd.Val())
	// Its messages are no longer about what follows.
	c.Set(c.fsfd, stage.Imm(-1))
	if typ == "mqueue" && c.spec.Linux.MountLabel != "" {
		c.labelFile(mnt)
	}
	return mnt
}

// fsconfig sets an option of the file system whose context is in use.
func (c *compiler) fsconfig(option string) {
	cmd, arg := unix.FSCONFIG_SET_FLAG, stage.Imm(0)
	key, value, ok := strings.Cut(option, "=")
	if ok {
		cmd, arg = unix.FSCONFIG_SET_STRING, c.Str(value)
	}
	c.Do("option "+key, unix.SYS_FSCONFIG, c.fsfd.Val(), stage.Imm(cmd), c.Str(key), arg, stage.Imm(0))
}

// superFlags sets those options of the superblock that mount(2) has flags for.
func (c *compiler) superFlags(o *options) {
	for _, flag := range [...]struct {
		bit  uintptr
		name string
	}{{unix.MS_SYNCHRONOUS, "sync"}, {unix.MS_DIRSYNC, "dirsync"}, {unix.MS_MANDLOCK, "mand"}, {unix.MS_LAZYTIME, "lazytime"}} {
		if o.legacy&flag.bit != 0 {
			c.fsconfig(flag.name)
		}
	}
}

// reconfigure gives the file system of a mount other options (remount). One
// that is not mentioned stays.
func (c *compiler) reconfigure(mnt stage.Cell, o *options) {
	if len(o.super) == 0 && o.legacy == 0 {
		return
	}
	c.useContext()
	c.Do("reconfigure", unix.SYS_FSPICK, mnt.Val(), c.empty, stage.Imm(unix.FSPICK_EMPTY_PATH|unix.FSPICK_CLOEXEC)).To(c.fsfd)
	c.superFlags(o)
	for _, opt := range o.super {
		c.fsconfig(opt)
	}
	zero := stage.Imm(0)
	c.Do("reconfigure", unix.SYS_FSCONFIG, c.fsfd.Val(), stage.Imm(unix.FSCONFIG_CMD_RECONFIGURE), zero, zero, zero)
	c.Do("close", unix.SYS_CLOSE, c.fsfd.Val())
	c.Set(c.fsfd, stage.Imm(-1))
}

// useContext has a place for the descriptor of the context in use.
func (c *compiler) useContext() {
	if c.fsfd == 0 {
		c.fsfd = stage.CellAt(c.U32(1<<32-1), 0) // -1: what fails before has no message
	}
}

// contextual reports whether a filesystem can be made with fsopen(2):
// fsconfig(2) takes values of up to 255 bytes, and some filesystems still
// parse their options as one string.
func contextual(typ string, o *options) bool {
	switch typ {
	case "proc", "sysfs", "tmpfs", "ramfs", "devpts", "mqueue", "cgroup", "cgroup2", "binfmt_misc", "debugfs", "tracefs", "bpf", "hugetlbfs":
	default:
		return false
	}
	for _, opt := range o.super {
		if len(opt) > 255 {
			return false
		}
	}
	return true
}

// legacyMount makes a detached mount by mount(2): over the container's root,
// cloned from there, and taken off again.
func (c *compiler) legacyMount(typ, source string, o *options) stage.Cell {
	mnt, at := c.Cell(), c.Str(c.in.Rootfs)
	flags := o.legacy
	for _, f := range [...]struct {
		attr uint64
		ms   uintptr
	}{
		{unix.MOUNT_ATTR_RDONLY, unix.MS_RDONLY}, {unix.MOUNT_ATTR_NOSUID, unix.MS_NOSUID},
		{unix.MOUNT_ATTR_NODEV, unix.MS_NODEV}, {unix.MOUNT_ATTR_NOEXEC, unix.MS_NOEXEC},
		{unix.MOUNT_ATTR_NOATIME, unix.MS_NOATIME}, {unix.MOUNT_ATTR_STRICTATIME, unix.MS_STRICTATIME},
		{unix.MOUNT_ATTR_NODIRATIME, unix.MS_NODIRATIME}, {unix.MOUNT_ATTR_NOSYMFOLLOW, unix.MS_NOSYMFOLLOW},
	} {
		if o.attr.set&f.attr != 0 {
			flags |= f.ms
		}
	}
	var data stage.Arg
	if o.inherited != 0 {
		data = o.inherited.Val()
	} else {
		data = c.Str(c.legacyOptions(o))
	}
	c.Do("mount "+typ, unix.SYS_MOUNT, c.Str(source), at, c.Str(typ), stage.Imm(int(flags)), data)
	c.Do("clone", unix.SYS_OPEN_TREE, stage.Imm(unix.AT_FDCWD), at, stage.Imm(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)).To(mnt)
	c.Do("take off", unix.SYS_UMOUNT2, at, stage.Imm(unix.MNT_DETACH))
	return mnt
}

// legacyOptions are the options of a file system as one string.
func (c *compiler) legacyOptions(o *options) string {
	super := o.super
	if label := c.spec.Linux.MountLabel; label != "" {
		// In quotes, because of the commas of its categories.
		super = append(super[:len(super):len(super)], MountContext(c.spec)+"=\""+label+"\"")
	}
	return strings.Join(super, ",")
}

// sysfsOr makes a detached mount of the entry's filesystem. The kernel gives a
// new sysfs only to the owner of the network namespace: a user namespace in
// another's is shown the host's, as with crun.
func (c *compiler) sysfsOr(m *spec.Mount, o *options) stage.Cell {
	if m.Type != "sysfs" || !c.in.Host.UserNS || c.isNew(unix.CLONE_NEWNET) {
		return c.filesystem(m.Type, m.Source, o)
	}
	probe, mnt := c.Cell(), c.Cell()
	denied, done := c.NewLabel(), c.NewLabel()
	c.Do("new sysfs", unix.SYS_FSOPEN, c.Str("sysfs"), stage.Imm(unix.FSOPEN_CLOEXEC)).To(probe).Else(denied)
	c.Do("close", unix.SYS_CLOSE, probe.Val())
	c.Set(mnt, c.filesystem(m.Type, m.Source, o).Val())
	c.Goto(done)
	c.Place(denied)
	errno := c.Cell()
	c.Set(errno, c.FailedErrno())
	c.Expect("new sysfs", errno, unix.EPERM)
	c.Do("bind /sys", unix.SYS_OPEN_TREE, stage.Imm(unix.AT_FDCWD), c.Str("/sys"), stage.Imm(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)).To(mnt)
	c.setAttr(mnt, attrs{set: o.attr.set & (unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC)}, 0, true)
	c.Place(done)
	return mnt
}

// stat is a struct stat that ops may fill in, and statMode its st_mode.
func (c *compiler) stat() stage.Arg {
	if c.statBuffer == (stage.Arg{}) {
		c.statBuffer = c.Buffer(int(unsafe.Sizeof(unix.Stat_t{})))
	}
	return c.statBuffer
}

func (c *compiler) statMode() stage.Cell {
	return stage.CellAt(c.stat(), int(unsafe.Offsetof(unix.Stat_t{}.Mode)))
}

func (c *compiler) statRdev() stage.Cell {
	return stage.CellAt(c.stat(), int(unsafe.Offsetof(unix.Stat_t{}.Rdev)))
}

// readonlyAttr is a struct mount_attr that sets read-only.
func (c *compiler) readonlyAttr() stage.Arg {
	b := make([]byte, mountAttrSize)
	binary.LittleEndian.PutUint64(b, unix.MOUNT_ATTR_RDONLY)
	return c.Bytes(b)
}
