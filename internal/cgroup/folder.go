package cgroup

import (
	"errors"
	"strings"

	"ostia/internal/file"
	"ostia/internal/linux"

	"golang.org/x/sys/unix"
)

// folder is an open directory of a cgroup. Its files are reached by the
// descriptor, so that a path that changes underneath changes nothing.
type folder struct {
	fd   int
	path string
}

// openMount opens the root of a directory's hierarchy and returns the way down
// from there. It refuses the root itself: what is written to a container's
// cgroup, cgroup.kill above all, must never hit a whole hierarchy.
func (d *Dir) openMount() (top folder, down string, err error) {
	down, ok := strings.CutPrefix(d.Path, d.Mount+"/")
	if !ok || d.Mount == "" || clean(down) != "/"+down || down == "" {
		return folder{fd: -1}, "", &Error{"use", d.Path, errors.New("is not a cgroup below its hierarchy's root " + d.Mount)}
	}
	fd, err := open(d.Mount, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return folder{fd: -1}, "", &Error{"open", d.Mount, err}
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil || st.Type != unix.CGROUP2_SUPER_MAGIC && st.Type != unix.CGROUP_SUPER_MAGIC {
		unix.Close(fd)
		return folder{fd: -1}, "", &Error{"open", d.Mount, errors.New("no cgroup file system is mounted there any more")}
	}
	return folder{fd, d.Mount}, down, nil
}

// open opens the directory.
func (d *Dir) open() (folder, error) {
	top, down, err := d.openMount()
	if err != nil {
		return top, err
	}
	defer top.close()
	return top.open(down)
}

// open opens a directory below. Neither a link nor ".." leads out.
func (f folder) open(down string) (folder, error) {
	path := f.path + "/" + down
	fd, err := linux.Openat2(f.fd, down, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return folder{fd: -1}, &Error{"open", path, err}
	}
	return folder{fd, path}, nil
}

func (f folder) close() {
	if f.fd >= 0 {
		unix.Close(f.fd)
	}
}

// openFile opens one of the cgroup's files.
func (f folder) openFile(name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(f.fd, name, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// read returns the text of one of the cgroup's files.
func (f folder) read(name string) (string, error) {
	fd, err := f.openFile(name, unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	return file.ReadAll(fd)
}

// write writes a value in one write(2), which is how the kernel takes it.
func (f folder) write(name, value string) error {
	fd, err := f.openFile(name, unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return writeAll(fd, value)
}

// subfolders calls do with the name of each cgroup directly below.
func (f folder) subfolders(do func(name string) error) error {
	var st unix.Stat_t
	// kernfs counts a directory's subdirectories in its link count.
	if err := unix.Fstat(f.fd, &st); err != nil || st.Nlink == 2 {
		return err
	}
	if _, err := unix.Seek(f.fd, 0, 0); err != nil {
		return err
	}
	var names []string
	buf := make([]byte, 8192)
	for {
		n, err := unix.Getdents(f.fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		names = appendDirectories(names, buf[:n])
	}
	for _, name := range names {
		if err := do(name); err != nil {
			return err
		}
	}
	return nil
}

// appendDirectories adds the names of the directories in a buffer of
// getdents64(2).
func appendDirectories(names []string, buf []byte) []string {
	const reclen, kind, start = 16, 18, 19 // of struct linux_dirent64
	for len(buf) > start {
		n := int(buf[reclen]) | int(buf[reclen+1])<<8
		if n <= start || n > len(buf) {
			break
		}
		name, _, _ := strings.Cut(string(buf[start:n]), "\x00")
		if buf[kind] == unix.DT_DIR && name != "." && name != ".." {
			names = append(names, name)
		}
		buf = buf[n:]
	}
	return names
}

func open(path string, flags int) (int, error) {
	for {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

func writeAll(fd int, value string) error {
	for {
		n, err := unix.Write(fd, []byte(value))
		if err == unix.EINTR {
			continue
		}
		if err == nil && n != len(value) {
			err = unix.EIO
		}
		return err
	}
}
