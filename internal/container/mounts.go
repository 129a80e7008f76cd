package container

import (
	"errors"
	"strconv"
	"syscall"

	"ostia/internal/launch"
	"ostia/internal/plan"
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// openMounts makes the mounts that the stage cannot make: idmapped ones, which
// take the capabilities of the namespace that owns the file system, and, for a
// container in a new user namespace, bind mounts of sources that its root may
// not reach.
func (c *creation) openMounts(f *files, in *plan.Input, _ *syscall.SysProcAttr) error {
	newUser := false
	for i := range c.spec.Linux.Namespaces {
		newUser = newUser || c.spec.Linux.Namespaces[i].Flag == unix.CLONE_NEWUSER
	}
	for i := range c.spec.Mounts {
		m := &c.spec.Mounts[i]
		if _, own := plan.BelowRoot(c.rootfs, m.Source); own && isBind(m) {
			continue // only the stage sees what the mounts before put there
		}
		if plan.IDMapped(m) || newUser && isBind(m) && canMount() {
			if err := c.give(f, in, i); err != nil {
				return err
			}
		}
	}
	return nil
}

// give makes mount i and gives it to the stage.
func (c *creation) give(f *files, in *plan.Input, i int) error {
	m := &c.spec.Mounts[i]
	fd, err := c.prepare(m, plan.IDMapped(m))
	if err != nil {
		return &spec.Error{Pointer: "mounts[" + strconv.Itoa(i) + "] " + m.Destination, Err: err}
	}
	if in.FDs.Prepared == nil {
		in.FDs.Prepared = make([]int, len(c.spec.Mounts))
		for j := range in.FDs.Prepared {
			in.FDs.Prepared[j] = -1
		}
	}
	in.FDs.Prepared[i] = f.add(fd)
	return nil
}

// absoluteSources takes the sources of bind mounts relative to the bundle, as
// runc does.
func absoluteSources(mounts []spec.Mount, bundle string) {
	for i := range mounts {
		if m := &mounts[i]; m.Source != "" && m.Source[0] != '/' && isBind(m) {
			m.Source = absolute(bundle, m.Source)
		}
	}
}

func isBind(m *spec.Mount) bool {
	if m.Type == "bind" || m.Type == "rbind" {
		return true
	}
	for _, o := range m.Options {
		if o == "bind" || o == "rbind" {
			return true
		}
	}
	return false
}

// canMount reports whether this process may make mounts.
func canMount() bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&hdr, &data[0]) == nil && data[0].Effective>>unix.CAP_SYS_ADMIN&1 != 0
}

// prepare makes one detached bind mount.
func (c *creation) prepare(m *spec.Mount, idmapped bool) (int, error) {
	b := plan.BindOf(m)
	fd, err := unix.OpenTree(unix.AT_FDCWD, m.Source, b.Open|unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return -1, failed("bind", m.Source, err)
	}
	if hasNamespace(c.spec, unix.CLONE_NEWUSER) {
		err = keepLocked(fd, &b)
	}
	// What is mounted below it in the container must not show on the host.
	for _, a := range [...]struct {
		verb  string
		flags uint
		attr  unix.MountAttr
	}{
		{"set propagation", unix.AT_RECURSIVE, unix.MountAttr{Propagation: unix.MS_SLAVE}},
		{"set attributes", 0, unix.MountAttr{Attr_set: b.Set, Attr_clr: b.Clear | b.Implied}},
		{"set attributes", unix.AT_RECURSIVE, b.Below},
	} {
		if err == nil && a.attr != (unix.MountAttr{}) {
			err = failed(a.verb, "", unix.MountSetattr(fd, "", a.flags|unix.AT_EMPTY_PATH, &a.attr))
		}
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	if idmapped {
		if err := c.idmap(fd, m); err != nil {
			unix.Close(fd)
			return -1, err
		}
	}
	return fd, nil
}

// keepLocked leaves a bind mount for a user namespace what the kernel locks on
// the host's mounts there (mount_namespaces(7)), as if the namespace made it:
// what an option clears by not naming it stays, what one clears by name is an
// error.
func keepLocked(fd int, b *plan.Bind) error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return failed("statfs", "", err)
	}
	var has uint64
	for _, f := range [...]struct {
		flag int64
		attr uint64
		name string
	}{
		{unix.ST_RDONLY, unix.MOUNT_ATTR_RDONLY, "ro"}, {unix.ST_NOSUID, unix.MOUNT_ATTR_NOSUID, "nosuid"},
		{unix.ST_NODEV, unix.MOUNT_ATTR_NODEV, "nodev"}, {unix.ST_NOEXEC, unix.MOUNT_ATTR_NOEXEC, "noexec"},
	} {
		if st.Flags&f.flag == 0 {
			continue
		}
		if b.Clear&f.attr != 0 {
			return errors.New("its source is mounted " + f.name + ", which a user namespace cannot change: leave out the option that clears it")
		}
		has |= f.attr
	}
	b.Implied &^= has
	const times = unix.MOUNT_ATTR__ATIME | unix.MOUNT_ATTR_NODIRATIME
	if b.Clear&unix.MOUNT_ATTR__ATIME != 0 && b.Set&times != accessTimes(st.Flags) {
		return errors.New("its source keeps access times otherwise, which a user namespace cannot change: leave out the option for them")
	}
	return nil
}

// accessTimes are a mount's MOUNT_ATTR_* for access times, by its ST_* flags.
func accessTimes(flags int64) (attr uint64) {
	switch {
	case flags&unix.ST_NOATIME != 0:
		attr = unix.MOUNT_ATTR_NOATIME
	case flags&unix.ST_RELATIME == 0:
		attr = unix.MOUNT_ATTR_STRICTATIME
	}
	if flags&unix.ST_NODIRATIME != 0 {
		attr |= unix.MOUNT_ATTR_NODIRATIME
	}
	return attr
}

// idmapTaken maps the ids of a detached mount that the stage has made.
func (c *creation) idmapTaken(fd, i int) error {
	m := &c.spec.Mounts[i]
	tree, err := c.stage.Take(fd)
	if err == nil {
		err = c.idmap(tree, m)
		unix.Close(tree)
	}
	if err != nil {
		return &spec.Error{Pointer: "mounts[" + strconv.Itoa(i) + "] " + m.Destination, Err: err}
	}
	return nil
}

// idmap gives a detached mount the mappings of its entry, or the container's.
func (c *creation) idmap(fd int, m *spec.Mount) error {
	ns, err := c.mappingFor(m)
	if err != nil {
		return failed("user namespace for the mapping", "", err)
	}
	defer unix.Close(ns)
	flags := uint(unix.AT_EMPTY_PATH)
	if plan.RecursiveIDMap(m) {
		flags |= unix.AT_RECURSIVE
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(ns)}
	if err := unix.MountSetattr(fd, "", flags, &attr); err != nil {
		if err == unix.EINVAL {
			return failed("idmap", m.Source, errIDMap)
		}
		return failed("idmap", m.Source, err)
	}
	return nil
}

// mappingFor is a user namespace with the mappings of a mount's entry, or
// those of the container.
func (c *creation) mappingFor(m *spec.Mount) (int, error) {
	l := &c.spec.Linux
	uids, gids, err := m.IDMappings(l)
	switch {
	case err != nil:
		return -1, err
	case len(uids) > 0:
		return mappedUserNS(uids, gids)
	case len(l.UIDMappings) > 0:
		return mappedUserNS(l.UIDMappings, l.GIDMappings)
	case c.userNS != 0:
		return unix.FcntlInt(uintptr(c.userNS), unix.F_DUPFD_CLOEXEC, 3)
	}
	return -1, errNoMapping
}

// mappedUserNS makes a user namespace with these mappings and returns its
// file. The process that it takes to make one ends at once.
func mappedUserNS(uids, gids []spec.IDMapping) (int, error) {
	sock, theirs, err := launch.Socket()
	if err != nil {
		return -1, err
	}
	defer unix.Close(sock)
	sys := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: idMap(uids), GidMappings: idMap(gids), GidMappingsEnableSetgroups: true}
	f := &files{list: []uintptr{none, none, none}}
	f.add(theirs)
	s, err := launch.Start(plan.Holder(3), f.list, sys, -1, sock, "/")
	f.close()
	if err != nil {
		return -1, err
	}
	defer s.Kill()
	return unix.Open("/proc/"+strconv.Itoa(s.Pid)+"/ns/user", unix.O_RDONLY|unix.O_CLOEXEC, 0)
}

func idMap(ms []spec.IDMapping) []syscall.SysProcIDMap {
	list := make([]syscall.SysProcIDMap, len(ms))
	for i, m := range ms {
		list[i] = syscall.SysProcIDMap{ContainerID: int(m.ContainerID), HostID: int(m.HostID), Size: int(m.Size)}
	}
	return list
}
