package entrypoint

import (
	"strconv"
	"strings"
	"syscall"

	"ostia/internal/linux"

	"golang.org/x/sys/unix"
)

// Tree is where [Verdict.Explain] looks, and for whom.
type Tree struct {
	Root        int    // descriptor of the container's root directory; O_PATH will do
	Cwd         string // the process's working directory in it; "" is "/"
	Credentials Credentials
	Args, Env   []string
	UIDs, GIDs  []IDMap // mappings of the process's user namespace; nil if it is ours
	// Rules names what restricts the process beyond permissions, "the annotations
	// x", for a program that these would let it execute; "" if nothing does.
	Rules string
	// Mount names a mount by its place in the configuration, "mounts[4]", given
	// its mount point in the container; "" if it has none. May be nil.
	Mount func(mountPoint string) string
}

// Credentials are those of the process that would execute the program, as it
// sees them itself.
type Credentials struct {
	UID, GID     uint32
	Groups       []uint32 // supplementary
	Capabilities uint64   // the effective set: bit n is capability number n
	NoNewPrivs   bool
}

// IDMap is a range of user or group ids in a user namespace (Inside) and in
// ours (Outside).
type IDMap struct{ Inside, Outside, Size uint32 }

// inside is an id of ours in the user namespace.
func inside(maps []IDMap, id uint32) (uint32, bool) {
	if maps == nil {
		return id, true
	}
	for _, m := range maps {
		if id >= m.Outside && id-m.Outside < m.Size {
			return m.Inside + (id - m.Outside), true
		}
	}
	return 65534, false
}

// place is what a walk along a path came to.
type place struct {
	errno syscall.Errno // 0, ENOENT, ENOTDIR, ELOOP, or what openat2 said
	path  string        // where the walk ended: a path without symbolic links
	stat  unix.Stat_t
	fs    unix.Statfs_t
	acl   bool
	mount string // the mount point that path lies on
	link  string // the last symbolic link that was followed, if any
	to    string // and its target
	shut  *place // the first directory that the process may not search
}

// maxLinks is the number of symbolic links after which the kernel gives up.
const maxLinks = 40

// walk follows path as the kernel would for the process, one component at a
// time. Each step is one openat2 confined to the root, so that a tree that is
// being changed can mislead it but never lead it out.
func (t *Tree) walk(path string) place {
	rest := path
	if !strings.HasPrefix(path, "/") {
		rest = t.Cwd + "/" + path
	}
	at := place{path: "/", mount: "/"}
	if !t.step(&at, "/") {
		return at
	}
	mountID := t.mountID("/")
	for links := 0; ; {
		rest = strings.TrimLeft(rest, "/")
		if rest == "" {
			return at
		}
		if at.stat.Mode&unix.S_IFMT != unix.S_IFDIR {
			at.errno = syscall.ENOTDIR
			return at
		}
		if at.shut == nil && !t.may(&at, search) {
			shut := at
			at.shut = &shut
		}
		var name string
		slash := strings.IndexByte(rest, '/')
		if slash < 0 {
			name, rest = rest, ""
		} else {
			name, rest = rest[:slash], rest[slash:]
		}
		next := place{path: join(at.path, name), mount: at.mount, link: at.link, to: at.to, shut: at.shut}
		if !t.step(&next, next.path) {
			return next
		}
		if next.stat.Mode&unix.S_IFMT == unix.S_IFLNK {
			if links++; links > maxLinks {
				next.errno = syscall.ELOOP
				return next
			}
			target, err := t.readlink(next.path)
			if err != 0 {
				next.errno = err
				return next
			}
			at.link, at.to = next.path, target
			rest = target + rest
			if strings.HasPrefix(target, "/") {
				root := place{path: "/", mount: "/", link: at.link, to: at.to, shut: at.shut}
				t.step(&root, "/")
				at, mountID = root, t.mountID("/")
			}
			continue
		}
		if id := t.mountID(next.path); id != mountID {
			mountID, next.mount = id, next.path
		}
		at = next
		// A slash at the end asks for a directory.
		if rest != "" && strings.Trim(rest, "/") == "" && at.stat.Mode&unix.S_IFMT != unix.S_IFDIR {
			at.errno = syscall.ENOTDIR
			return at
		}
	}
}

// join is a component added to a path without symbolic links.
func join(dir, name string) string {
	switch name {
	case ".":
		return dir
	case "..":
		if i := strings.LastIndexByte(dir, '/'); i > 0 {
			return dir[:i]
		}
		return "/"
	}
	if dir == "/" {
		return dir + name
	}
	return dir + "/" + name
}

// open opens a path without symbolic links, the last component as it is.
func (t *Tree) open(path string, flags uint64) (int, syscall.Errno) {
	how := unix.OpenHow{Flags: flags | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS}
	fd, err := linux.Openat2(t.Root, path, &how)
	if err != nil {
		e, _ := err.(syscall.Errno)
		return -1, e
	}
	return fd, 0
}

// step looks at p.path.
func (t *Tree) step(p *place, path string) bool {
	fd, e := t.open(path, unix.O_PATH)
	if e != 0 {
		p.errno = e
		return false
	}
	defer unix.Close(fd)
	if err := unix.Fstat(fd, &p.stat); err != nil {
		p.errno, _ = err.(syscall.Errno)
		return false
	}
	_ = unix.Fstatfs(fd, &p.fs)
	_, err := unix.Getxattr("/proc/self/fd/"+strconv.Itoa(fd), "system.posix_acl_access", nil)
	p.acl = err == nil
	return true
}

func (t *Tree) mountID(path string) uint64 {
	fd, e := t.open(path, unix.O_PATH)
	if e != 0 {
		return 0
	}
	defer unix.Close(fd)
	var st unix.Statx_t
	if unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st) != nil {
		return 0
	}
	return st.Mnt_id
}

func (t *Tree) readlink(path string) (string, syscall.Errno) {
	fd, e := t.open(path, unix.O_PATH)
	if e != 0 {
		return "", e
	}
	defer unix.Close(fd)
	buf := make([]byte, 4096)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil {
		e, _ = err.(syscall.Errno)
		return "", e
	}
	return string(buf[:n]), 0
}

// names are the entries of a directory.
func (t *Tree) names(dir string) []string {
	fd, e := t.open(dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if e != 0 {
		return nil
	}
	defer unix.Close(fd)
	names, _ := entries(fd)
	return names
}

// What a process may want of a file.
type want int

const (
	search want = iota
	execute
)

// may compares mode bits, to explain a refusal of the kernel's and never to
// foresee one. A file with an ACL is not judged.
func (t *Tree) may(p *place, w want) bool {
	const dacOverride, dacReadSearch = 1 << 1, 1 << 2
	c := &t.Credentials
	uid, uidMapped := inside(t.UIDs, p.stat.Uid)
	gid, gidMapped := inside(t.GIDs, p.stat.Gid)
	if uidMapped && gidMapped {
		if w == search && c.Capabilities&(dacOverride|dacReadSearch) != 0 {
			return true
		}
		if w == execute && c.Capabilities&dacOverride != 0 && p.stat.Mode&0o111 != 0 {
			return true
		}
	}
	if p.acl {
		return true
	}
	mode := p.stat.Mode
	switch {
	case uidMapped && uid == c.UID:
		mode >>= 6
	case gidMapped && t.inGroup(gid):
		mode >>= 3
	}
	return mode&1 != 0
}

func (t *Tree) inGroup(gid uint32) bool {
	if gid == t.Credentials.GID {
		return true
	}
	for _, g := range t.Credentials.Groups {
		if g == gid {
			return true
		}
	}
	return false
}

// ReadRange implements [RangeReader] for a [Prober] that has a tree: it reads a
// regular file beneath the root with the privilege of the caller.
func (t *Tree) ReadRange(path string, offset int64, length int) []byte {
	fd := t.regular(path)
	if fd < 0 {
		return nil
	}
	defer unix.Close(fd)
	// The very file that was looked at: a device in its place is never opened.
	r, err := unix.Open("/proc/self/fd/"+strconv.Itoa(fd), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(r)
	b := make([]byte, length)
	n, _ := unix.Pread(r, b, offset)
	return b[:max(n, 0)]
}

// CapabilityAttribute is the security.capability of a regular file, the first
// result of a [CapabilityReader]; nil if there is none, or on a nosuid mount.
func (t *Tree) CapabilityAttribute(path string) []byte {
	fd := t.regular(path)
	if fd < 0 {
		return nil
	}
	defer unix.Close(fd)
	var fs unix.Statfs_t
	if unix.Fstatfs(fd, &fs) != nil || fs.Flags&unix.ST_NOSUID != 0 {
		return nil
	}
	b := make([]byte, 64)
	n, _ := unix.Getxattr("/proc/self/fd/"+strconv.Itoa(fd), "security.capability", b)
	return b[:max(n, 0)]
}

// regular opens the regular file that path leads to by O_PATH; -1 for none.
func (t *Tree) regular(path string) int {
	p := t.walk(path)
	if p.errno != 0 {
		return -1
	}
	fd, e := t.open(p.path, unix.O_PATH)
	if e != 0 {
		return -1
	}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		unix.Close(fd)
		return -1
	}
	return fd
}
