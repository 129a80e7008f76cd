package container

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"

	"ostia/internal/file"
	"ostia/internal/linux"
	"ostia/internal/plan"
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// perform has CRIU restore from a mount namespace of its own: the root that CRIU
// wants mounted somewhere is mounted there alone, and is gone with CRIU, however
// that ends. Only the thread that starts it goes there, and ends: hooks run
// where this process is.
func (c *restoration) perform() (CriuAnswer, error) {
	var p *criuProcess
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err = c.privateMounts(); err == nil {
			p, err = c.criu.start(c.q, c.fds)
		}
	}()
	<-done
	if err != nil {
		return CriuAnswer{}, err
	}
	if err := c.started(p.pid); err != nil {
		p.end()
		return CriuAnswer{}, err
	}
	return p.finish(c.q, c.event)
}

// privateMounts mounts the container's root on the mount point in its folder, in
// a mount namespace of this thread's.
func (c *restoration) privateMounts() error {
	if err := enterPrivateMounts("mount namespace for CRIU"); err != nil {
		return err
	}
	// CRIU mounts things in its working directory, so that is to be one of this namespace.
	c.q.close()
	if err := c.q.open(&c.o.CriuOptions); err != nil {
		return err
	}
	if err := c.mountPoints(); err != nil {
		return err
	}
	root, err := c.openRoot()
	if err != nil {
		return err
	}
	defer unix.Close(root)
	if c.makesDevices() {
		if err := c.devices(); err != nil {
			return err
		}
	}
	return c.mountRoot(root)
}

// devices makes the device nodes again that were made at the container's
// creation, and has CRIU take them for those of the host. The root of the user
// namespace must come to them: they lie over the first folder on the way to the
// container's that it may not enter, so that nothing is hidden that CRIU could
// mount. The mount point for the root is made there again.
func (c *restoration) devices() error {
	folder := closedFolder(c.dir.Path())
	dir, err := c.nodeFolder(folder)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	if err := os.MkdirAll(c.q.Root, 0o700); err != nil {
		return err
	}
	return c.makeNodes(dir, func(i int, name string) error {
		path := plan.DevicePath(&c.spec.Linux.Devices[i])
		for j := range c.q.Mounts {
			if m := &c.q.Mounts[j]; m.Key == path {
				m.Value = folder + "/" + name
			}
		}
		return nil
	})
}

// closedFolder is the first folder on the way to one that is the owner's and its
// group's alone to enter, or itself.
func closedFolder(path string) string {
	for i := 1; i < len(path); i++ {
		var st unix.Stat_t
		if path[i] == '/' && unix.Stat(path[:i], &st) == nil && st.Mode&0o001 == 0 {
			return path[:i]
		}
	}
	return path
}

// openRoot opens a detached mount of the root.
func (c *restoration) openRoot() (int, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, c.rootfs, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	return fd, failed("root.path", c.rootfs, err)
}

// mountRoot mounts it where CRIU is told that the root is.
func (c *restoration) mountRoot(root int) error {
	return failed("mount on", c.q.Root, unix.MoveMount(root, "", unix.AT_FDCWD, c.q.Root, unix.MOVE_MOUNT_F_EMPTY_PATH))
}

// mountPoints makes what the container's mounts are to lie on, as at its
// creation: the root may be a fresh copy. What lies in a file system of the
// container's own CRIU restores.
func (c *restoration) mountPoints() error {
	root, err := c.openRoot()
	if err != nil {
		return err
	}
	defer unix.Close(root)
	if err := c.mountRoot(root); err != nil {
		return err
	}
	var own []string
	for i := range c.spec.Mounts {
		m := &c.spec.Mounts[i]
		dest := plan.Destination(m, c.rootfs)
		if below(dest, own) {
			continue
		}
		if !isBind(m) {
			own = append(own, dest)
		}
		if err := mountPointFor(root, m, dest); err != nil {
			return &spec.Error{Pointer: "mounts[" + strconv.Itoa(i) + "] " + m.Destination, Err: err}
		}
	}
	return failed("unmount", c.q.Root, unix.Unmount(c.q.Root, unix.MNT_DETACH))
}

func below(path string, dirs []string) bool {
	for _, dir := range dirs {
		if len(path) > len(dir) && path[:len(dir)] == dir && path[len(dir)] == '/' {
			return true
		}
	}
	return false
}

// mountPointFor makes one mount point, and mounts a bind mount there for the
// mount points that it holds.
func mountPointFor(root int, m *spec.Mount, dest string) error {
	if !isBind(m) {
		return makeBelow(root, plan.Target{Path: dest})
	}
	b := plan.BindOf(m)
	source, err := unix.OpenTree(unix.AT_FDCWD, m.Source, b.Open|unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return failed("bind", m.Source, err)
	}
	defer unix.Close(source)
	var st unix.Stat_t
	if err := unix.Fstat(source, &st); err != nil {
		return err
	}
	if err := makeBelow(root, plan.Target{Path: dest, File: st.Mode&unix.S_IFMT != unix.S_IFDIR}); err != nil && !errors.Is(err, unix.EROFS) {
		return err
	}
	at, err := linux.Openat2(root, dest, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	if err != nil {
		return err
	}
	defer unix.Close(at)
	return unix.MoveMount(source, "", at, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}

// giveFiles lets the root of the container's user namespace read the images, and
// gives it the standard descriptors: its processes open them themselves when
// they are restored. What is in the images was in their memory.
func (c *restoration) giveFiles() error {
	l := &c.spec.Linux
	uid, gid := hostRoot(l.UIDMappings), hostRoot(l.GIDMappings)
	if !ownsNamespace(c.spec, unix.CLONE_NEWUSER) || uid <= 0 && gid <= 0 {
		return nil
	}
	ownStdio(l)
	// Those of a checkpoint with a parent lie in its folder, and so on.
	for path := c.o.ImagePath; ; path += "/parent" {
		ours, err := showFolder(path, gid)
		if err != nil {
			return failed("--image-path", path, err)
		}
		if !ours || unix.Access(path+"/parent", unix.F_OK) != nil {
			return nil
		}
	}
}

// showFolder lets a group read a folder and the images in it. Their owner stays:
// who may write there chooses what is followed as parent. For the same reason
// one that is not the caller's is left as it is, and so told.
func showFolder(path string, gid int) (ours bool, err error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Uid != uint32(unix.Geteuid()) {
		return false, err
	}
	names, err := file.Names(fd)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".img") {
			if err := showImage(fd, name, gid); err != nil {
				return false, err
			}
		}
	}
	return true, show(fd, gid, 0o050)
}

// showImage does so for one image.
func showImage(folder int, name string, gid int) error {
	fd, err := unix.Openat(folder, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return show(fd, gid, 0o040)
}

// show gives a file of the caller's to a group, which may do more with it, but not write.
func show(fd, gid int, more uint32) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Uid != uint32(unix.Geteuid()) {
		return err
	}
	if err := unix.Fchown(fd, -1, gid); err != nil {
		return err
	}
	return unix.Fchmod(fd, st.Mode&0o7777&^0o020|more)
}
