package virtiofs

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// create makes a file, folder, link, FIFO or socket as the user of the guest
// who asks, so that it has its owner from the first moment, and the group that
// the folder's set-group-ID bit gives.
func (s *Server) create(r *request, dir *node) error {
	at := map[uint32]int{opMkdir: 8, opMknod: 16, opCreate: 16, opTmpfile: 16}[r.op]
	var name string
	var err error
	if r.op != opTmpfile {
		if name, at, err = r.name(at); err != nil {
			return err
		}
	}
	fd := -1
	err = as(r.uid, r.gid, func() error {
		switch r.op {
		case opMkdir:
			return unix.Mkdirat(dir.fd, name, masked(dir, r.u32(0), r.u32(4)))
		case opSymlink:
			target, _, err := r.text(at)
			if err != nil {
				return err
			}
			return unix.Symlinkat(target, dir.fd, name)
		case opMknod:
			switch mode := r.u32(0); mode & unix.S_IFMT {
			case unix.S_IFREG, unix.S_IFIFO, unix.S_IFSOCK:
				return unix.Mknodat(dir.fd, name, mode&unix.S_IFMT|masked(dir, mode, r.u32(8)), 0)
			}
			return unix.EPERM // a device node of the guest's would be one of the host's
		case opTmpfile:
			fd, err = unix.Openat(dir.fd, ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, masked(dir, r.u32(4), r.u32(8)))
			return err
		}
		return s.createFile(r, dir, name, &fd)
	})
	if err != nil {
		return err
	}
	if fd < 0 {
		return s.answerEntry(r, dir, name)
	}
	return s.answerCreated(r, dir, fd)
}

// masked is a new file's mode. A folder's default access control list, which the
// host's kernel applies, comes in the place of the guest's umask.
func masked(dir *node, mode, umask uint32) uint32 {
	if _, err := unix.Getxattr(magicLink(dir), "system.posix_acl_default", nil); err != nil {
		mode &^= umask
	}
	return mode & 0o7777
}

// createFile creates and opens. A file that is there already must be a regular
// one: it is looked at before it is opened, by a descriptor.
func (s *Server) createFile(r *request, dir *node, name string, fd *int) (err error) {
	flags := unix.O_RDWR | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NOCTTY
	*fd, err = unix.Openat(dir.fd, name, flags, masked(dir, r.u32(4), r.u32(8)))
	if err != unix.EEXIST || r.u32(0)&unix.O_EXCL != 0 {
		return err
	}
	path, err := unix.Openat(dir.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(path)
	var st unix.Stat_t
	if err := unix.Fstat(path, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return unix.EEXIST
	}
	*fd, err = s.openFile(&node{fd: path, mode: st.Mode}, unix.O_RDWR|int(r.u32(0))&unix.O_TRUNC)
	return err
}

// answerCreated answers with the entry and the handle of a file just opened.
func (s *Server) answerCreated(r *request, dir *node, fd int) error {
	path, err := unix.Openat(s.proc, s.path(fd), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		unix.Close(fd)
		return err
	}
	var st unix.Stat_t
	n, err := s.adopt(path, dir, &st)
	if err != nil {
		unix.Close(path)
		unix.Close(fd)
		return err
	}
	r.entry(n, &st)
	r.put64(s.addHandle(&handle{node: n, fd: fd, flags: unix.O_RDWR}))
	r.put32(keepCache, 0)
	return nil
}

// as runs f on a thread whose file system ids are the user's. Capabilities
// stay: the guest's kernel has decided what the user may do, also by groups
// that the request does not name.
func as(uid, gid uint32, f func() error) error {
	if uid == 0 && gid == 0 {
		return f()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := capabilities()
	if err != nil {
		return err
	}
	setfs(unix.SYS_SETFSGID, gid)
	setfs(unix.SYS_SETFSUID, uid)
	defer func() {
		setfs(unix.SYS_SETFSUID, 0)
		setfs(unix.SYS_SETFSGID, 0)
	}()
	// An id that the container's user namespace does not map is ignored by
	// setfsuid(2): asking again tells.
	if setfs(unix.SYS_SETFSGID, gid) != gid || setfs(unix.SYS_SETFSUID, uid) != uid {
		return unix.EOVERFLOW
	}
	// A file system uid other than 0 has dropped the capabilities of files.
	if err := setCapabilities(before); err != nil {
		return err
	}
	return f()
}

// setfs sets an id of this thread and returns the one before.
func setfs(nr uintptr, id uint32) uint32 {
	old, _, _ := unix.RawSyscall(nr, uintptr(id), 0, 0)
	return uint32(old)
}

func capabilities() (data [2]unix.CapUserData, err error) {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	err = unix.Capget(&h, &data[0])
	return data, err
}

func setCapabilities(data [2]unix.CapUserData) error {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	return unix.Capset(&h, &data[0])
}
