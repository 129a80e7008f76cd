package container

import (
	"runtime"
	"strconv"
	"syscall"

	"ostia/internal/plan"
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// openDevices makes the nodes of linux.devices for a container in a user
// namespace, whose root may not (mknod(2)), with the number, mode and owner that
// they are to have. Where this process may not either, the stage takes the
// host's nodes, as it does for one without a number.
func (c *creation) openDevices(f *files, in *plan.Input, _ *syscall.SysProcAttr) error {
	if !c.makesDevices() {
		return nil
	}
	nodes := make([]int, len(c.spec.Linux.Devices))
	for i := range nodes {
		nodes[i] = -1
	}
	// A detached mount can be cloned since Linux 6.15 only; an attached one is to
	// be seen by nobody. Only the thread that makes it goes there, and ends. It is
	// not the first of the process, which /proc/self is of: that may be this one.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- c.detachedNodes(nodes)
	}()
	err := <-done
	in.FDs.Devices = make([]int, len(nodes))
	for i, fd := range nodes {
		in.FDs.Devices[i] = -1
		if fd >= 0 {
			in.FDs.Devices[i] = f.add(fd)
		}
	}
	return err
}

// makesDevices reports whether the container's device nodes are made for it
// outside of its user namespace.
func (c *creation) makesDevices() bool {
	l := &c.spec.Linux
	return hasNamespace(c.spec, unix.CLONE_NEWUSER) && len(l.UIDMappings) > 0 && len(l.Devices) > 0 && canMount()
}

// detachedNodes makes a detached mount of each device node, in a mount namespace
// of this thread's.
func (c *creation) detachedNodes(nodes []int) error {
	if err := enterPrivateMounts("mount namespace for device nodes"); err != nil {
		return err
	}
	dir, err := c.nodeFolder(c.dir.Path())
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return c.makeNodes(dir, func(i int, name string) (err error) {
		nodes[i], err = unix.OpenTree(dir, name, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_SYMLINK_NOFOLLOW)
		return err
	})
}

// enterPrivateMounts gives this thread, which is to end in it, a mount namespace
// that nothing leaves. what is for errors.
func enterPrivateMounts(what string) error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil { //nolint:forbidigo // a thread that ends here, not the runtime
		return failed(what, "", err)
	}
	err := unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE, &unix.MountAttr{Propagation: unix.MS_SLAVE})
	return failed(what, "", err)
}

// makeNodes makes the device nodes in a folder, and tells of each by its index in
// linux.devices and its name. It makes none where this process may not.
func (c *creation) makeNodes(dir int, made func(i int, name string) error) error {
	for i := range c.spec.Linux.Devices {
		d := &c.spec.Linux.Devices[i]
		if d.Type == 'p' || d.Major < 0 || d.Minor < 0 || d.Major+d.Minor == 0 {
			continue
		}
		name := strconv.Itoa(i)
		err := c.makeNode(dir, name, d)
		if err == unix.EPERM {
			return nil
		}
		if err == nil {
			err = made(i, name)
		}
		if err != nil {
			return &spec.Error{Pointer: "linux.devices[" + name + "] " + d.Path, Err: failed("make device node", "", err)}
		}
	}
	return nil
}

// nodeFolder mounts a file system that may hold device nodes.
func (c *creation) nodeFolder(path string) (dir int, err error) {
	defer func() { err = failed("tmpfs for device nodes", "", err) }()
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fs)
	if label := c.spec.Linux.MountLabel; label != "" {
		if err := unix.FsconfigSetString(fs, plan.MountContext(c.spec), label); err != nil {
			return -1, err
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, err
	}
	mnt, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return -1, err
	}
	if err := unix.MoveMount(mnt, "", unix.AT_FDCWD, path, unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_SYMLINKS); err != nil {
		unix.Close(mnt)
		return -1, err
	}
	return mnt, nil
}

// makeNode makes one device node.
func (c *creation) makeNode(dir int, name string, d *spec.Device) error {
	mode := uint32(unix.S_IFCHR)
	if d.Type == 'b' {
		mode = unix.S_IFBLK
	}
	if err := unix.Mknodat(dir, name, mode, int(unix.Mkdev(uint32(d.Major), uint32(d.Minor)))); err != nil {
		return err
	}
	permissions, uid, gid := uint32(0o666), uint32(0), uint32(0)
	if d.FileMode != nil {
		permissions = *d.FileMode & 0o7777
	}
	if d.UID != nil {
		uid = *d.UID
	}
	if d.GID != nil {
		gid = *d.GID
	}
	l := &c.spec.Linux
	if err := unix.Fchownat(dir, name, hostID(l.UIDMappings, uid), hostID(l.GIDMappings, gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	return unix.Fchmodat(dir, name, permissions, 0)
}
