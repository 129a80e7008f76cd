package virtiofs

import (
	"golang.org/x/sys/unix"
)

// answerAttr answers with a struct fuse_attr_out.
func (s *Server) answerAttr(r *request, n *node) error {
	var st unix.Stat_t
	if err := unix.Fstat(n.fd, &st); err != nil {
		return err
	}
	r.put64(valid)
	r.put32(0, 0)
	r.attributes(&st, n.ino)
	return nil
}

func (s *Server) getattr(r *request, n *node) error { return s.answerAttr(r, n) }

// What a SETATTR sets (FATTR_*).
const (
	setMode     = 1 << 0
	setUID      = 1 << 1
	setGID      = 1 << 2
	setSize     = 1 << 3
	setAtime    = 1 << 4
	setMtime    = 1 << 5
	hasHandle   = 1 << 6
	setAtimeNow = 1 << 7
	setMtimeNow = 1 << 8
)

// setattr follows struct fuse_setattr_in: valid, -, fh, size, lock_owner,
// atime, mtime, ctime, their nanoseconds, mode, -, uid, gid.
func (s *Server) setattr(r *request, n *node) error {
	set := r.u32(0)
	if set&setSize != 0 {
		if err := s.truncate(r, n, set); err != nil {
			return err
		}
	}
	if set&(setUID|setGID) != 0 {
		uid, gid := -1, -1
		if set&setUID != 0 {
			uid = int(r.u32(76))
		}
		if set&setGID != 0 {
			gid = int(r.u32(80))
		}
		if err := unix.Fchownat(n.fd, "", uid, gid, unix.AT_EMPTY_PATH); err != nil {
			return err
		}
	}
	if set&setMode != 0 {
		if n.mode&unix.S_IFMT == unix.S_IFLNK {
			return unix.EOPNOTSUPP
		}
		if err := unix.Fchmodat(s.proc, s.path(n.fd), r.u32(68)&0o7777, 0); err != nil {
			return err
		}
	}
	if set&(setAtime|setMtime|setAtimeNow|setMtimeNow) != 0 {
		times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Nsec: unix.UTIME_OMIT}}
		for i := range times {
			switch {
			case set>>i&setAtimeNow != 0:
				times[i].Nsec = unix.UTIME_NOW
			case set>>i&setAtime != 0:
				times[i] = unix.Timespec{Sec: int64(r.u64(32 + 8*i)), Nsec: int64(r.u32(56 + 4*i))}
			}
		}
		// Not by path: the magic link of a symbolic link leads to what it names.
		if err := utimens(n.fd, times); err != nil {
			return err
		}
	}
	return s.answerAttr(r, n)
}

// utimens sets the times of what an O_PATH descriptor holds (AT_EMPTY_PATH,
// Linux 5.8).
func utimens(fd int, times []unix.Timespec) error {
	return unix.UtimesNanoAt(fd, "", times, unix.AT_EMPTY_PATH)
}

func (s *Server) truncate(r *request, n *node, set uint32) error {
	size := int64(r.u64(16))
	if set&hasHandle != 0 {
		if h := s.handle(r.u64(8)); h != nil {
			defer h.unpin()
			if h.writable() {
				return unix.Ftruncate(h.fd, size)
			}
		}
	}
	fd, err := s.openFile(n, unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Ftruncate(fd, size)
}

func readlink(r *request, n *node) error {
	b := make([]byte, unix.PathMax)
	k, err := unix.Readlinkat(n.fd, "", b)
	if err != nil {
		return err
	}
	r.answer = b[:k]
	return nil
}

// statfs answers with a struct fuse_statfs_out.
func statfs(r *request, n *node) error {
	var s unix.Statfs_t
	if err := unix.Fstatfs(n.fd, &s); err != nil {
		return err
	}
	r.put64(s.Blocks, s.Bfree, s.Bavail, s.Files, s.Ffree)
	r.put32(uint32(s.Bsize), uint32(s.Namelen), uint32(s.Frsize), 0, 0, 0, 0, 0, 0, 0)
	return nil
}
