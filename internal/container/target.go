package container

import (
	"strings"

	"ostia/internal/launch"
	"ostia/internal/linux"
	"ostia/internal/plan"

	"golang.org/x/sys/unix"
)

// makeTarget makes a path of the container that a stage is to mount on, below
// the stage's descriptor fd, and whatever folder is missing on the way. Links
// are followed as the container would follow them, also those that lead to
// something yet to be made; a path that somebody changes meanwhile is an error.
func makeTarget(s *launch.Stage, fd int, t plan.Target) error {
	root, err := s.Take(fd)
	if err != nil {
		return failed(t.For.String()+"make", t.Path, err)
	}
	defer unix.Close(root)
	return failed(t.For.String()+"make", t.Path, makeBelow(root, t))
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
