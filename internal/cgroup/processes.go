package cgroup

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Processes returns the processes of the cgroup and of all below it, as this
// process's pid namespace numbers them; those outside of it are left out. A
// cgroup that does not exist has none.
func (g *Group) Processes() ([]int, error) {
	if len(g.Dirs) == 0 {
		return nil, nil
	}
	f, err := g.Dirs[g.whole()].open()
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.close()
	return f.processes(nil)
}

// Vacant is ErrNotEmpty for a cgroup that exists and has processes.
func (g *Group) Vacant() error {
	d := &g.Dirs[g.whole()]
	if unix.Access(d.Path, unix.F_OK) != nil {
		return nil
	}
	f, err := d.open()
	if err != nil {
		return nil // it is gone again, or Create says why
	}
	defer f.close()
	pids, err := f.processes(nil)
	if err == nil && len(pids) > 0 {
		err = &Error{"use", f.path, ErrNotEmpty}
	}
	return err
}

// whole is the index of the hierarchy that knows every process of the
// container. On version 1 it is the one that can freeze them, so that the
// frozen and the counted are the same.
func (g *Group) whole() int {
	for _, c := range [...]string{"freezer", "devices", "systemd"} {
		if i := g.find(c); i >= 0 {
			return i
		}
	}
	return 0
}

func (f folder) processes(pids []int) ([]int, error) {
	text, err := f.read("cgroup.procs")
	if err == unix.EOPNOTSUPP {
		// A threaded cgroup does not tell processes, only threads.
		text, err = f.read("cgroup.threads")
	}
	if err == unix.ENOENT || err == unix.ENODEV {
		return pids, nil // removed meanwhile
	}
	if err != nil {
		return pids, &Error{"read", f.path + "/cgroup.procs", err}
	}
	for line := range strings.FieldsSeq(text) {
		// 0 is a process of another pid namespace.
		if pid, err := strconv.Atoi(line); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	err = f.subfolders(func(name string) error {
		sub, err := f.open(name)
		if errors.Is(err, unix.ENOENT) {
			return nil
		}
		if err != nil {
			return err
		}
		defer sub.close()
		pids, err = sub.processes(pids)
		return err
	})
	if err == unix.ENODEV || err == unix.ENOENT {
		err = nil
	}
	return pids, err
}
