package container

import (
	"strconv"
	"strings"

	"ostia/internal/launch"

	"golang.org/x/sys/unix"
)

// copyUp copies what the image holds in a directory into the tmpfs that will
// cover it (the mount option tmpcopyup). Both are descriptors of the stage.
func copyUp(s *launch.Stage, from, to int) error {
	src, err := s.Take(from)
	if err != nil {
		return failed("tmpcopyup", "", err)
	}
	defer unix.Close(src)
	dst, err := s.Take(to)
	if err != nil {
		return failed("tmpcopyup", "", err)
	}
	defer unix.Close(dst)
	return failed("tmpcopyup", "", copyTree(src, dst, 0))
}

// maxDepth bounds a hostile tree.
const maxDepth = 256

// tellMode gives the stage a file's permissions as it needs them for a tmpfs.
func tellMode(s *launch.Stage, mode int32) error {
	text := strconv.FormatInt(int64(mode&0o7777|0o10000), 8)
	return s.Tell(text[1:])
}

// copyTree copies the entries of one directory, and the directory's own mode
// and owner, beneath descriptors: no name is followed. The tmpfs itself has its
// mode.
func copyTree(src, dst, depth int) error {
	if depth > maxDepth {
		return unix.ELOOP
	}
	dir, err := unix.Openat(src, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	out, err := unix.Openat(dst, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(out)
	buf := make([]byte, 8192)
	for {
		n, err := unix.ReadDirent(dir, buf)
		if err != nil || n == 0 {
			if err == nil {
				err = copyMeta(dir, out, depth > 0)
			}
			return err
		}
		_, _, names := unix.ParseDirent(buf[:n], -1, nil)
		for _, name := range names {
			if err := copyEntry(dir, out, name, depth); err != nil {
				return failed("copy", name, err)
			}
		}
	}
}

func copyMeta(src, dst int, mode bool) error {
	var st unix.Stat_t
	if err := unix.Fstat(src, &st); err != nil {
		return err
	}
	if err := unix.Fchown(dst, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if mode {
		if err := unix.Fchmod(dst, st.Mode&0o7777); err != nil {
			return err
		}
	}
	return copyXattrs(src, dst) // the last: chown(2) takes capabilities off
}

// copyXattrs copies the extended attributes that the tmpfs can have: those of
// user.* are not among them before Linux 6.6. What an ordinary user may not give
// (EPERM) is left out.
func copyXattrs(src, dst int) error {
	n, err := unix.Flistxattr(src, nil)
	if err == unix.EOPNOTSUPP || err == nil && n == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	names := make([]byte, n)
	if n, err = unix.Flistxattr(src, names); err != nil {
		return err
	}
	value := make([]byte, maxXattr)
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00") {
		n, err := unix.Fgetxattr(src, name, value)
		if err == nil {
			err = unix.Fsetxattr(dst, name, value[:n], 0)
		}
		if err != nil && err != unix.EOPNOTSUPP && err != unix.ENODATA && err != unix.EPERM {
			return failed("extended attribute", name, err)
		}
	}
	return nil
}

// maxXattr is XATTR_SIZE_MAX.
const maxXattr = 64 << 10

func copyEntry(dir, out int, name string, depth int) error {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		if err := unix.Mkdirat(out, name, 0o700); err != nil {
			return err
		}
		src, err := unix.Openat(dir, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(src)
		dst, err := unix.Openat(out, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(dst)
		return copyTree(src, dst, depth+1)
	case unix.S_IFREG:
		return copyRegular(dir, out, name)
	case unix.S_IFLNK:
		target := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(dir, name, target)
		if err != nil {
			return err
		}
		if err := unix.Symlinkat(string(target[:n]), out, name); err != nil {
			return err
		}
	default:
		if err := unix.Mknodat(out, name, st.Mode, int(st.Rdev)); err != nil {
			return err
		}
	}
	return unix.Fchownat(out, name, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW)
}

func copyRegular(dir, out int, name string) error {
	src, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(src)
	dst, err := unix.Openat(out, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(dst)
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(src, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return copyMeta(src, dst, true)
		}
		for b := buf[:n]; len(b) > 0; {
			w, err := unix.Write(dst, b)
			if err != nil && err != unix.EINTR {
				return err
			}
			b = b[max(w, 0):]
		}
	}
}
