package cgroup

import (
	"strings"

	"ostia/internal/file"
	"ostia/internal/mountinfo"

	"golang.org/x/sys/unix"
)

// MountOptions are those of the version 2 hierarchy. It has one set of them for
// the whole host: who mounts it anywhere sets them anew (the kernel's cgroup-v2
// document), and without nsdelegate a container can lift its own limits.
type MountOptions struct{ point, options string }

// ReadMountOptions reads them. Where the hierarchy is not mounted there are none.
func ReadMountOptions() (MountOptions, error) {
	info, err := file.Read("/proc/self/mountinfo")
	if err != nil {
		return MountOptions{}, &Error{"read", "/proc/self/mountinfo", err}
	}
	if m := findMount(mountinfo.Parse(info, "cgroup2"), ""); m != nil {
		return MountOptions{m.Point, m.Options}, nil
	}
	return MountOptions{}, nil
}

// Restore sets them as they were read, if they are other ones now.
func (o MountOptions) Restore() error {
	if now, err := ReadMountOptions(); err != nil || now == o || o.point == "" {
		return err
	}
	fs, err := unix.Fspick(unix.AT_FDCWD, o.point, unix.FSPICK_CLOEXEC)
	if err != nil {
		return &Error{"set the mount options of", o.point, err}
	}
	defer unix.Close(fs)
	for option := range strings.SplitSeq(o.options, ",") {
		if option == "rw" || option == "ro" {
			continue // of the super block, which the context has as it is
		}
		if err := unix.FsconfigSetFlag(fs, option); err != nil {
			return &Error{"set the mount option " + option + " of", o.point, err}
		}
	}
	if err := unix.FsconfigReconfigure(fs); err != nil {
		return &Error{"set the mount options of", o.point, err}
	}
	return nil
}
