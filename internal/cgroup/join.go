package cgroup

import (
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// Open opens what a new process enters the cgroup by. dir is the directory of
// the version 2 hierarchy, for CLONE_INTO_CGROUP, or -1. tasks are the files of
// the version 1 hierarchies into which the new process writes "0", which moves
// itself: a write to cgroup.procs waits for an RCU grace period, one to tasks
// does not. Kernels check the rights of the one who opened them. The caller
// closes them.
func (g *Group) Open() (dir int, tasks []int, err error) {
	dir = -1
	defer func() {
		if err != nil {
			if dir >= 0 {
				unix.Close(dir)
			}
			for _, fd := range tasks {
				unix.Close(fd)
			}
			dir, tasks = -1, nil
		}
	}()
	for i := range g.Dirs {
		d := &g.Dirs[i]
		f, err := d.open()
		if err != nil {
			return dir, tasks, err
		}
		if d.Version2() {
			dir = f.fd
			continue
		}
		fd, err := f.openFile("tasks", unix.O_WRONLY)
		f.close()
		if err != nil {
			return dir, tasks, &Error{"open", f.path + "/tasks", err}
		}
		tasks = append(tasks, fd)
	}
	return dir, tasks, nil
}

// Take makes the cgroup, below one that exists, and moves a process of one
// thread into it.
func (g *Group) Take(pid int) error {
	t := tree{group: g}
	defer t.close()
	for i := range g.Dirs {
		if err := t.make(&g.Dirs[i]); err != nil {
			return err
		}
	}
	if err := t.setCpuset(&spec.Resources{}); err != nil {
		return err
	}
	for i := range g.Dirs {
		if err := t.leaves[i].take(&g.Dirs[i], pid); err != nil {
			return err
		}
	}
	return nil
}
