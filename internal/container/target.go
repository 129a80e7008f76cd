package container

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"ostia/internal/file"
	"ostia/internal/launch"
	"ostia/internal/linux"
	"ostia/internal/plan"

	"golang.org/x/sys/unix"
)

// makeTarget makes a path of the container that a stage is to mount on, below
// the stage's descriptor fd, and whatever folder is missing on the way. Links
// are followed as the container would follow them, also those that lead to
// something yet to be made; a path that somebody changes meanwhile is an error.
//
// It is made as root of the container's user namespace, whose it then is and
// who alone may make anything in a file system of that namespace; and as this
// process where that root may not.
func makeTarget(s *launch.Stage, fd int, t plan.Target) error {
	root, err := s.Take(fd)
	if err != nil {
		return failed(t.For.String()+"make", t.Path, err)
	}
	defer unix.Close(root)
	if uid, gid := rootOf(s.Pid); uid != os.Geteuid() || gid != os.Getegid() {
		if asIDs(uid, gid, func() error { return makeBelow(root, t) }) == nil {
			return nil
		}
	}
	return failed(t.For.String()+"make", t.Path, makeBelow(root, t))
}

// rootOf is which ids of ours are root in a process's user namespace: ours
// where that cannot be told.
func rootOf(pid int) (uid, gid int) {
	dir := "/proc/" + strconv.Itoa(pid)
	return mappedRoot(dir+"/uid_map", os.Geteuid()), mappedRoot(dir+"/gid_map", os.Getegid())
}

func mappedRoot(path string, unknown int) int {
	text, err := file.Read(path)
	if err != nil {
		return unknown
	}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 3 || f[0] != "0" {
			continue
		}
		if id, err := strconv.Atoi(f[1]); err == nil {
			return id
		}
	}
	return unknown
}

// asIDs calls f with these ids for the file system: setfsuid(2), which is a
// thread's. The thread goes back to its own ids, since it must not end: it may
// be the one whose end a stage does not survive.
func asIDs(uid, gid int, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ownGID, err := unix.SetfsgidRetGid(gid)
	if err != nil {
		return err
	}
	defer func() { _, _ = unix.SetfsgidRetGid(ownGID) }()
	ownUID, err := unix.SetfsuidRetUid(uid)
	if err != nil {
		return err
	}
	defer func() { _, _ = unix.SetfsuidRetUid(ownUID) }()
	return f()
}

func makeBelow(root int, t plan.Target) error {
	todo := strings.Split(t.Path, "/")
	var done []string // real folders below root, no links
	for links := 0; len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			if len(done) > 0 {
				done = done[:len(done)-1]
			}
			continue
		}
		dir, err := openBelow(root, done)
		if err != nil {
			return err
		}
		link, err := makeOne(dir, name, t.File && len(todo) == 0)
		unix.Close(dir)
		if err != nil {
			return err
		}
		if link == "" {
			done = append(done, name)
			continue
		}
		if links++; links > 40 { // as path_resolution(7)
			return unix.ELOOP
		}
		if link[0] == '/' {
			done = nil
		}
		todo = append(strings.Split(link, "/"), todo...)
	}
	return nil
}

// openBelow opens a folder by a path without links.
func openBelow(root int, path []string) (int, error) {
	how := unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	}
	return linux.Openat2(root, "./"+strings.Join(path, "/"), &how)
}

// makeOne makes one name unless it is there. For a link it returns what it
// says.
func makeOne(dir int, name string, file bool) (link string, err error) {
	if file {
		err = unix.Mknodat(dir, name, unix.S_IFREG|0o644, 0)
	} else {
		err = unix.Mkdirat(dir, name, 0o755)
	}
	if err != unix.EEXIST {
		return "", err
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dir, name, buf)
	if err == unix.EINVAL { // no link
		return "", nil
	}
	return string(buf[:max(n, 0)]), err
}
