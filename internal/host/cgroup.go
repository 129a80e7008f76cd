package host

import (
	"strings"

	"ostia/internal/cgroup"
	"ostia/internal/file"

	"golang.org/x/sys/unix"
)

func (e *examination) cgroups(u *User) {
	e.topic = "cgroup"
	g, err := cgroup.Resolve("", "ostia-doctor")
	if err != nil {
		e.add("version", Missing, err.Error(), "mount cgroup2 on /sys/fs/cgroup; without, only --cgroup-manager disabled works")
		return
	}
	if !g.V2 {
		found := "1"
		for i := range g.Dirs {
			if g.Dirs[i].Controllers == "" {
				found = "1 with an empty 2 beside it (hybrid)"
			}
		}
		e.add("version", OK, found, "")
		if u.UID != 0 {
			e.add("delegation", Absent, "no", "containers run without limits: version 1 is not given to users: boot with systemd.unified_cgroup_hierarchy=1")
		}
		return
	}
	e.add("version", OK, "2", "")
	parent := parentOf(g.Dirs[0].Path)
	controllers, _ := file.Read(parent + "/cgroup.controllers")
	controllers = strings.TrimSpace(controllers)
	if u.UID != 0 {
		if unix.Faccessat(unix.AT_FDCWD, parent, unix.W_OK, unix.AT_EACCESS) == nil {
			e.add("delegation", OK, parent, "")
		} else {
			e.add("delegation", Absent, "no ("+parent+" is not this user's)",
				"containers run without limits: log in through systemd, or use systemd-run --user --scope -p Delegate=yes")
		}
	}
	var without []string
	for _, name := range [...]string{"cpuset", "cpu", "io", "memory", "pids"} {
		if !strings.Contains(" "+controllers+" ", " "+name+" ") {
			without = append(without, name)
		}
	}
	if len(without) == 0 {
		e.add("controllers", OK, controllers, "")
	} else {
		e.add("controllers", Absent, controllers, "linux.resources cannot limit "+strings.Join(without, ", ")+
			": delegate it (Delegate= in the unit user@.service, systemd.resource-control(5)), or build the kernel with it")
	}
}

// parentOf is the nearest folder above a path that exists.
func parentOf(path string) string {
	for {
		i := strings.LastIndexByte(path, '/')
		if i <= 0 {
			return "/"
		}
		if path = path[:i]; exists(path) {
			return path
		}
	}
}
