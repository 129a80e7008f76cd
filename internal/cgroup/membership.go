package cgroup

import (
	"errors"
	"strconv"
	"strings"

	"ostia/internal/file"
)

// membership is a process's cgroup in one hierarchy, a line of
// /proc/PID/cgroup (cgroups(7)).
type membership struct {
	controllers string // "cpu,cpuacct", "name=systemd"; empty for version 2
	path        string
}

// parseMembership returns the lines of a /proc/PID/cgroup file; one that is
// not of its form is passed over.
func parseMembership(text string) []membership {
	ms := make([]membership, 0, 16)
	for line := range strings.SplitSeq(text, "\n") {
		// 4:memory:/user.slice
		id, rest, _ := strings.Cut(line, ":")
		controllers, path, ok := strings.Cut(rest, ":")
		if !ok || !strings.HasPrefix(path, "/") || controllers == "" && id != "0" {
			continue
		}
		ms = append(ms, membership{controllers, path})
	}
	return ms
}

// memberships are a process's cgroups.
func memberships(pid int) ([]membership, error) {
	path := "/proc/" + strconv.Itoa(pid) + "/cgroup"
	text, err := file.Read(path)
	if err != nil {
		return nil, &Error{"read", path, err}
	}
	return parseMembership(text), nil
}

// holds reports whether a process with these memberships is in the directory
// itself.
func (d *Dir) holds(ms []membership) bool {
	for _, m := range ms {
		if m.controllers == d.Controllers {
			return d.Mount+m.path == d.Path
		}
	}
	return false
}

// BySystemd reports whether a process is in the cgroup in the hierarchy that
// systemd counts by: the only one, or that of its name. If it is not, where is
// the cgroup that it is to be in.
func (g *Group) BySystemd(pid int) (where string, ok bool, err error) {
	ms, err := memberships(pid)
	if err != nil {
		return "", false, err
	}
	i := g.find("systemd")
	if i < 0 {
		i = g.findUnified()
	}
	if i < 0 {
		return "", false, errors.New("systemd has mounted no hierarchy of its name: boot with cgroup v2, or use --cgroup-manager cgroupfs")
	}
	return g.Dirs[i].Path, g.Dirs[i].holds(ms), nil
}

// Moved is the cgroup that a process of g has gone to on version 2, nil for
// none.
func (g *Group) Moved(pid int) *Group {
	if !g.V2 {
		return nil
	}
	ms, err := memberships(pid)
	if err != nil || g.Dirs[0].holds(ms) {
		return nil
	}
	path := "/"
	for _, m := range ms {
		if m.controllers == "" {
			path = m.path
		}
	}
	return &Group{V2: true, Dirs: []Dir{{Mount: g.Dirs[0].Mount, Path: g.Dirs[0].Mount + path}}}
}

// unifiedMembership is the process's cgroup in the version 2 hierarchy, "/"
// when it has none.
func unifiedMembership(text string) string {
	for _, m := range parseMembership(text) {
		if m.controllers == "" {
			return m.path
		}
	}
	return "/"
}
