package plan

import (
	"errors"
	"strconv"
	"strings"

	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// attrs are the MOUNT_ATTR_* to set and to clear.
type attrs struct{ set, clr uint64 }

func (a *attrs) add(o attrs) {
	a.set = a.set&^o.clr | o.set
	a.clr = a.clr&^o.set | o.clr
}

// options is the meaning of a mount's options.
type options struct {
	bind, recursive bool // bind, rbind
	remount         bool
	attr, rattr     attrs // of this mount, and of all below it
	propagation     []int // MS_* for mount(2), in order
	tmpcopyup       bool
	idmap, ridmap   bool
	nofollowSource  bool
	nofollowDest    bool
	legacy          uintptr  // MS_* of the superblock, as mount(2) takes them
	super           []string // options of the filesystem, as given
}

const atime = unix.MOUNT_ATTR__ATIME

// mountAttr is what one option sets and clears. An option that begins with r
// and has this meaning without it is the recursive form.
func mountAttr(o string) (attrs, bool) {
	switch o {
	case "ro":
		return attrs{set: unix.MOUNT_ATTR_RDONLY}, true
	case "rw":
		return attrs{clr: unix.MOUNT_ATTR_RDONLY}, true
	case "nosuid":
		return attrs{set: unix.MOUNT_ATTR_NOSUID}, true
	case "suid":
		return attrs{clr: unix.MOUNT_ATTR_NOSUID}, true
	case "nodev":
		return attrs{set: unix.MOUNT_ATTR_NODEV}, true
	case "dev":
		return attrs{clr: unix.MOUNT_ATTR_NODEV}, true
	case "noexec":
		return attrs{set: unix.MOUNT_ATTR_NOEXEC}, true
	case "exec":
		return attrs{clr: unix.MOUNT_ATTR_NOEXEC}, true
	case "nodiratime":
		return attrs{set: unix.MOUNT_ATTR_NODIRATIME}, true
	case "diratime":
		return attrs{clr: unix.MOUNT_ATTR_NODIRATIME}, true
	case "nosymfollow":
		return attrs{set: unix.MOUNT_ATTR_NOSYMFOLLOW}, true
	case "symfollow":
		return attrs{clr: unix.MOUNT_ATTR_NOSYMFOLLOW}, true
	case "noatime":
		return attrs{set: unix.MOUNT_ATTR_NOATIME, clr: atime}, true
	case "strictatime":
		return attrs{set: unix.MOUNT_ATTR_STRICTATIME, clr: atime}, true
	case "relatime", "atime", "norelatime", "nostrictatime":
		return attrs{set: unix.MOUNT_ATTR_RELATIME, clr: atime}, true
	}
	return attrs{}, false
}

// superFlag is the MS_* of an option of the superblock.
func superFlag(o string) (set, clr uintptr, ok bool) {
	switch o {
	case "sync":
		return unix.MS_SYNCHRONOUS, 0, true
	case "async":
		return 0, unix.MS_SYNCHRONOUS, true
	case "dirsync":
		return unix.MS_DIRSYNC, 0, true
	case "mand":
		return unix.MS_MANDLOCK, 0, true
	case "nomand":
		return 0, unix.MS_MANDLOCK, true
	case "silent":
		return unix.MS_SILENT, 0, true
	case "loud":
		return 0, unix.MS_SILENT, true
	case "iversion":
		return unix.MS_I_VERSION, 0, true
	case "noiversion":
		return 0, unix.MS_I_VERSION, true
	case "lazytime":
		return unix.MS_LAZYTIME, 0, true
	case "nolazytime":
		return 0, unix.MS_LAZYTIME, true
	}
	return 0, 0, false
}

// propagation is the MS_* of a propagation type's name, in a mount's options
// or in linux.rootfsPropagation.
func propagation(name string) (int, bool) {
	switch name {
	case "private":
		return unix.MS_PRIVATE, true
	case "rprivate":
		return unix.MS_PRIVATE | unix.MS_REC, true
	case "shared":
		return unix.MS_SHARED, true
	case "rshared":
		return unix.MS_SHARED | unix.MS_REC, true
	case "slave":
		return unix.MS_SLAVE, true
	case "rslave":
		return unix.MS_SLAVE | unix.MS_REC, true
	case "unbindable":
		return unix.MS_UNBINDABLE, true
	case "runbindable":
		return unix.MS_UNBINDABLE | unix.MS_REC, true
	}
	return 0, false
}

// parseOptions gives a mount's options their meaning (mount(8), and
// config-linux.md for the recursive forms).
func parseOptions(m *spec.Mount) (o options) {
	o.bind = m.Type == "bind" || m.Type == "rbind"
	o.recursive = m.Type == "rbind"
	for _, opt := range m.Options {
		if a, ok := mountAttr(opt); ok {
			o.attr.add(a)
			continue
		}
		if len(opt) > 1 && opt[0] == 'r' {
			if a, ok := mountAttr(opt[1:]); ok {
				o.rattr.add(a)
				continue
			}
		}
		if p, ok := propagation(opt); ok {
			o.propagation = append(o.propagation, p)
			continue
		}
		if set, clr, ok := superFlag(opt); ok {
			o.legacy = o.legacy&^clr | set
			continue
		}
		switch {
		case opt == "defaults" || opt == "":
		case opt == "bind":
			o.bind = true
		case opt == "rbind":
			o.bind, o.recursive = true, true
		case opt == "remount":
			o.remount = true
		case opt == "tmpcopyup":
			o.tmpcopyup = true
		case opt == "idmap" || strings.HasPrefix(opt, "idmap="):
			o.idmap = true
		case opt == "ridmap" || strings.HasPrefix(opt, "ridmap="):
			o.idmap, o.ridmap = true, true
		case opt == "src-nofollow" || opt == "copy-symlink":
			o.nofollowSource = true
		case opt == "dest-nofollow":
			o.nofollowDest = true
		case o.bind && !strings.Contains(opt, "="):
			// Options of another mount's filesystem mean nothing to a bind mount.
		default:
			o.super = append(o.super, opt)
		}
	}
	return o
}

// refuse is the error for a configuration that cannot be planned.
func refuse(pointer string, index int, subject, why string) error {
	if index >= 0 {
		pointer += "[" + strconv.Itoa(index) + "]"
	}
	if subject != "" {
		pointer += " " + subject
	}
	return &spec.Error{Pointer: pointer, Err: errors.New(why)}
}
