package cgroup

import (
	"strings"

	"ostia/internal/file"

	"golang.org/x/sys/unix"
)

// Delegate gives the version 2 cgroup to a user, who may then make cgroups
// below it and move its processes among them: the directory, and of its files
// those that the kernel says are for that, so that the limits stay
// (config-linux.md#cgroup-ownership).
func (g *Group) Delegate(uid int) error {
	f, err := g.Dirs[0].open()
	if err != nil {
		return err
	}
	defer f.close()
	names, err := file.Read("/sys/kernel/cgroup/delegate")
	if err != nil {
		names = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n"
	}
	if err := unix.Fchown(f.fd, uid, -1); err != nil {
		return &Error{"chown", f.path, err}
	}
	for name := range strings.FieldsSeq(names) {
		if err := unix.Fchownat(f.fd, name, uid, -1, unix.AT_SYMLINK_NOFOLLOW); err != nil && err != unix.ENOENT {
			return &Error{"chown", f.path + "/" + name, err}
		}
	}
	return nil
}
