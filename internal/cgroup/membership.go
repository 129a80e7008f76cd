package cgroup

import (
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

// Of is the path of a process's cgroup from the root of the version 2
// hierarchy.
func Of(pid int) (string, error) {
	path := "/proc/" + strconv.Itoa(pid) + "/cgroup"
	text, err := file.Read(path)
	if err != nil {
		return "", &Error{"read", path, err}
	}
	return unifiedMembership(text), nil
}

// Moved is the cgroup that a process of g has gone to on version 2, nil for
// none.
func (g *Group) Moved(pid int) *Group {
	path, err := Of(pid)
	if err != nil || !g.V2 || g.Dirs[0].Mount+path == g.Dirs[0].Path {
		return nil
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
