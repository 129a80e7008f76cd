// Package cgroup owns a container's control group, version 2 and version 1:
// it finds, makes, limits, joins, freezes, kills and removes it, and filters
// the devices that its processes may use. It never moves a process itself: a
// new process is born in its cgroup or enters it by a descriptor of Open.
package cgroup

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Group is a container's cgroup: one directory on version 2, one in each
// mounted hierarchy on version 1. It is a plain value, kept in the container's
// state; a method opens what it needs and closes it again.
type Group struct {
	V2   bool
	Dirs []Dir
}

// Dir is the cgroup's directory in one hierarchy.
type Dir struct {
	// Name is the last element of Mount on version 1: "memory", "cpu,cpuacct",
	// "systemd", and "unified" for the version 2 hierarchy of a hybrid host.
	// Empty on version 2.
	Name string
	// Controllers are the hierarchy's, as in /proc/PID/cgroup: "cpu,cpuacct",
	// "name=systemd". Empty for version 2.
	Controllers string
	Mount       string // the hierarchy's mount point
	Path        string // absolute, below Mount
}

// Version2 reports whether the directory is in a version 2 hierarchy.
func (d *Dir) Version2() bool { return d.Controllers == "" }

// ErrNotPermitted is what this user, or a read-only mount, may not do.
var ErrNotPermitted = errors.New("cgroup: not permitted")

// ErrNotEmpty is a cgroup that has processes before its container exists.
var ErrNotEmpty = errors.New("container's cgroup is not empty: choose another linux.cgroupsPath, or end its processes")

// Error is an operation on a cgroup's directory or file that failed.
type Error struct {
	Op   string
	Path string
	Err  error
}

func (e *Error) Error() string { return e.Op + " " + e.Path + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// Is reports EACCES, EPERM and EROFS as ErrNotPermitted too.
func (e *Error) Is(target error) bool {
	return target == ErrNotPermitted && (errors.Is(e.Err, unix.EACCES) || errors.Is(e.Err, unix.EPERM) || errors.Is(e.Err, unix.EROFS))
}

// Sub is a cgroup below this one, as exec --cgroup names it: PATH for all
// hierarchies, CONTROLLER[,CONTROLLER...]:PATH for those on version 1, of which
// there may be several.
func (g *Group) Sub(paths ...string) (*Group, error) {
	sub := &Group{V2: g.V2, Dirs: append([]Dir(nil), g.Dirs...)}
	for _, path := range paths {
		controllers, rest, some := strings.Cut(path, ":")
		switch {
		case !some && len(paths) > 1:
			return nil, errors.New("one of several names no controllers: give it the form CONTROLLER[,...]:PATH")
		case !some:
			controllers, rest = "", path
		case g.V2:
			return nil, errors.New("a controller cannot be named on cgroup v2, which has one hierarchy: give the path alone")
		}
		if err := sub.descend(g, controllers, rest); err != nil {
			return nil, err
		}
	}
	return sub, nil
}

// descend changes the directories of these controllers, or of all, to one
// below the container's.
func (g *Group) descend(container *Group, controllers, path string) error {
	for e := range strings.SplitSeq(path, "/") {
		if e == ".." {
			return errors.New("bad sub cgroup path: `..` components are not allowed")
		}
	}
	inner := clean(path)
	if controllers == "" {
		for i := range g.Dirs {
			g.Dirs[i].Path = join(container.Dirs[i].Path, inner)
		}
		return nil
	}
	for c := range strings.SplitSeq(controllers, ",") {
		i := g.find(c)
		if i < 0 {
			return errors.New("unknown controller " + strconv.Quote(c) + ": the container has no cgroup of it")
		}
		if at := join(container.Dirs[i].Path, inner); g.Dirs[i].Path == container.Dirs[i].Path {
			g.Dirs[i].Path = at
		} else if g.Dirs[i].Path != at {
			return errors.New("controller " + c + " is given two paths")
		}
	}
	return nil
}

// find is the index of the directory of a controller, or -1. On version 2 it
// is the only one.
func (g *Group) find(controller string) int {
	if g.V2 {
		return len(g.Dirs) - 1
	}
	for i := range g.Dirs {
		for c := range strings.SplitSeq(g.Dirs[i].Controllers, ",") {
			if c == controller || strings.HasPrefix(c, "name=") && c[len("name="):] == controller {
				return i
			}
		}
	}
	return -1
}

// findUnified is the index of the version 2 directory, or -1.
func (g *Group) findUnified() int {
	for i := range g.Dirs {
		if g.Dirs[i].Version2() {
			return i
		}
	}
	return -1
}

// clean is a path from a hierarchy's root: rooted, without "." and "" and with
// ".." resolved, which never leads above the root.
func clean(path string) string {
	var kept []string
	for e := range strings.SplitSeq(path, "/") {
		switch e {
		case "", ".":
		case "..":
			kept = kept[:max(len(kept)-1, 0)]
		default:
			kept = append(kept, e)
		}
	}
	return "/" + strings.Join(kept, "/")
}

// join joins two clean paths.
func join(a, b string) string {
	if a == "/" {
		return b
	}
	if b == "/" {
		return a
	}
	return a + b
}
