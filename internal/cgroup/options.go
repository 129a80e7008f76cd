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
type MountOptions struct {
	point, options string
	note           int // the descriptor whose lock says that they are other ones for now; 0 for none
}

// noteFile notes what the options are to be, for the whole host as they are.
const noteFile = "/run/ostia.cgroup2-options"

// KeepMountOptions reads them for who is about to have them changed, till
// Restore. Where others are at it they are what the first of these has noted:
// those of the moment are not the host's. Where the hierarchy is not mounted
// there are none.
func KeepMountOptions() (MountOptions, error) {
	fd, err := unix.Open(noteFile, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return readMountOptions() // a /run that cannot be written
	}
	o, err := notedOptions(fd)
	if err != nil {
		unix.Close(fd)
		return MountOptions{}, err
	}
	o.note = fd
	return o, nil
}

// notedOptions locks the note, and writes it if nobody else has it locked. Who has
// may be one that writes nothing, and the note be empty.
func notedOptions(fd int) (o MountOptions, err error) {
	first := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) == nil
	if !first {
		err = shareNote(fd)
	}
	if err == nil {
		o, err = readMountOptions()
	}
	noted := ""
	if err == nil && !first {
		noted, err = file.ReadAll(fd)
	}
	switch {
	case err != nil:
	case noted != "":
		o.options = noted
	default:
		if err = writeNote(fd, o.options); err == nil {
			err = shareNote(fd)
		}
	}
	if err != nil {
		err = &Error{"note the mount options in", noteFile, err}
	}
	return o, err
}

func writeNote(fd int, options string) error {
	if err := unix.Ftruncate(fd, 0); err != nil {
		return err
	}
	return file.WriteAll(fd, []byte(options))
}

// shareNote takes the lock of all that have the options changed, for which the
// first of them makes way at once.
func shareNote(fd int) error {
	for {
		if err := unix.Flock(fd, unix.LOCK_SH); err != unix.EINTR {
			return err
		}
	}
}

func readMountOptions() (MountOptions, error) {
	info, err := file.Read("/proc/self/mountinfo")
	if err != nil {
		return MountOptions{}, &Error{"read", "/proc/self/mountinfo", err}
	}
	if m := findMount(mountinfo.Parse(info, "cgroup2"), ""); m != nil {
		return MountOptions{m.Point, m.Options, 0}, nil
	}
	return MountOptions{}, nil
}

// Restore sets them as they were, if they are other ones now.
func (o MountOptions) Restore() error {
	if o.note > 0 {
		defer unix.Close(o.note)
	}
	if now, err := readMountOptions(); err != nil || now.options == o.options || o.point == "" {
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
