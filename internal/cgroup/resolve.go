package cgroup

import (
	"errors"
	"strings"

	"ostia/internal/file"
	"ostia/internal/mountinfo"

	"golang.org/x/sys/unix"
)

const root = "/sys/fs/cgroup"

// Unified reports whether version 2 alone is mounted on /sys/fs/cgroup.
func Unified() bool {
	var st unix.Statfs_t
	return unix.Statfs(root, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC
}

// Resolve works out where a container's cgroup will be and makes nothing. An
// absolute cgroupsPath (linux.cgroupsPath) is below the hierarchies' roots; a
// relative one is below this process's cgroup on version 1 and beside it on
// version 2, where a cgroup with processes cannot limit those below it. Empty
// is the container's id.
func Resolve(cgroupsPath, id string) (*Group, error) {
	if strings.IndexByte(cgroupsPath, 0) >= 0 {
		return nil, errors.New("has a NUL")
	}
	for e := range strings.SplitSeq(cgroupsPath, "/") {
		if len(e) > unix.NAME_MAX {
			return nil, errors.New("has an element of more than 255 bytes")
		}
	}
	absolute := strings.HasPrefix(cgroupsPath, "/")
	inner := clean(cgroupsPath)
	if cgroupsPath == "" {
		inner = clean(id)
	}
	if inner == "/" {
		return nil, errors.New("is the root of the hierarchies: name a cgroup below it")
	}
	if Unified() {
		parent := "/"
		if !absolute {
			text, err := file.Read("/proc/self/cgroup")
			if err != nil {
				return nil, &Error{"read", "/proc/self/cgroup", err}
			}
			parent = clean(unifiedMembership(text) + "/..")
		}
		return &Group{V2: true, Dirs: []Dir{{Mount: root, Path: root + join(parent, inner)}}}, nil
	}
	return resolveV1(inner, absolute)
}

func resolveV1(inner string, absolute bool) (*Group, error) {
	text, err := file.Read("/proc/self/cgroup")
	if err != nil {
		return nil, &Error{"read", "/proc/self/cgroup", err}
	}
	info, err := file.Read("/proc/self/mountinfo")
	if err != nil {
		return nil, &Error{"read", "/proc/self/mountinfo", err}
	}
	own, mounts := parseMembership(text), mountinfo.Parse(info, "cgroup", "cgroup2")
	g := &Group{Dirs: make([]Dir, 0, len(own))}
	for i := range own {
		m := findMount(mounts, own[i].controllers)
		if m == nil {
			continue
		}
		path := inner
		if !absolute {
			path = join(below(own[i].path, m.Root), inner)
		}
		g.Dirs = append(g.Dirs, Dir{
			Name: m.Point[strings.LastIndexByte(m.Point, '/')+1:], Controllers: own[i].controllers,
			Mount: m.Point, Path: join(m.Point, path),
		})
	}
	if len(g.Dirs) == 0 {
		return nil, errors.New("no cgroup file system is mounted: mount cgroup2 on " + root + ", or go without (--cgroup-manager disabled)")
	}
	return g, nil
}

// findMount is the mount of the hierarchy with these controllers, best below
// /sys/fs/cgroup; no controllers are the version 2 hierarchy.
func findMount(mounts []mountinfo.Mount, controllers string) *mountinfo.Mount {
	first, _, _ := strings.Cut(controllers, ",")
	var found *mountinfo.Mount
	for i := range mounts {
		m := &mounts[i]
		v2 := m.Type == "cgroup2"
		if v2 != (controllers == "") || !v2 && !m.HasOption(first) {
			continue
		}
		if strings.HasPrefix(m.Point, root+"/") {
			return m
		}
		if found == nil && m.Point != "/" {
			found = m
		}
	}
	return found
}

// below is a process's cgroup as seen from the root of a mount: in a container
// without a cgroup namespace the file names the host's path and the mount
// shows only the container's part.
func below(path, mountRoot string) string {
	if mountRoot == "/" {
		return clean(path)
	}
	rest, ok := strings.CutPrefix(path, mountRoot)
	if !ok || rest != "" && rest[0] != '/' {
		return "/"
	}
	return clean(rest)
}
