package cgroup

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// Remove removes the cgroup and all below it. What does not exist is no error;
// what still has dying processes is tried again for about two seconds. The
// directories above stay.
func (g *Group) Remove() error {
	var failed error
	for i := range g.Dirs {
		if err := g.Dirs[i].remove(); err != nil && failed == nil {
			failed = err
		}
	}
	return failed
}

func (d *Dir) remove() error {
	top, down, err := d.openMount()
	if err != nil {
		return err
	}
	defer top.close()
	return top.remove(down)
}

func (f folder) remove(down string) error {
	for wait := 500 * time.Microsecond; ; wait *= 2 {
		err := unix.Unlinkat(f.fd, down, unix.AT_REMOVEDIR)
		switch err {
		case nil, unix.ENOENT:
			return nil
		case unix.EINTR:
			continue
		}
		sub, gone := f.open(down)
		if errors.Is(gone, unix.ENOENT) {
			// A read-only mount answers EROFS even for what is not there.
			return nil
		}
		if gone != nil {
			return gone
		}
		if err != unix.EBUSY {
			sub.close()
			return &Error{"remove", f.path + "/" + down, err}
		}
		below := sub.subfolders(sub.remove)
		sub.close()
		if below != nil && !errors.Is(below, unix.ENODEV) {
			return below
		}
		err = unix.Unlinkat(f.fd, down, unix.AT_REMOVEDIR)
		if err == nil || err == unix.ENOENT {
			return nil
		}
		if wait > time.Second {
			return &Error{"remove", f.path + "/" + down, errors.New("device or resource busy: it still has processes")}
		}
		time.Sleep(wait)
	}
}
