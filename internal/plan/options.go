package plan

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"ostia/internal/spec"
	"ostia/internal/stage"

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
	given           bool  // an option for attr is there
	atime           bool  // and one that chooses how access times are kept
	propagation     []int // MS_* for mount(2), in order
	tmpcopyup       bool
	idmap, ridmap   bool
	nofollowSource  bool
	nofollowDest    bool
	copySymlink     bool       // a source that is a link is mounted over the destination itself
	legacy          uintptr    // MS_* of the superblock, as mount(2) takes them
	super           []string   // options of the filesystem, as given
	inherited       stage.Cell // address of the option that gives a tmpfs its mode, 0 for none; see inheritMode
}

const atime = unix.MOUNT_ATTR__ATIME

// mountAttrs are the options that set and clear attributes of a mount. Each has
// a recursive form that begins with r.
var mountAttrs = [...]mountAttr{
	{"ro", attrs{set: unix.MOUNT_ATTR_RDONLY}, false},
	{"rw", attrs{clr: unix.MOUNT_ATTR_RDONLY}, false},
	{"nosuid", attrs{set: unix.MOUNT_ATTR_NOSUID}, false},
	{"suid", attrs{clr: unix.MOUNT_ATTR_NOSUID}, false},
	{"nodev", attrs{set: unix.MOUNT_ATTR_NODEV}, false},
	{"dev", attrs{clr: unix.MOUNT_ATTR_NODEV}, false},
	{"noexec", attrs{set: unix.MOUNT_ATTR_NOEXEC}, false},
	{"exec", attrs{clr: unix.MOUNT_ATTR_NOEXEC}, false},
	{"nodiratime", attrs{set: unix.MOUNT_ATTR_NODIRATIME}, true},
	{"diratime", attrs{clr: unix.MOUNT_ATTR_NODIRATIME}, false},
	{"nosymfollow", attrs{set: unix.MOUNT_ATTR_NOSYMFOLLOW}, false},
	{"symfollow", attrs{clr: unix.MOUNT_ATTR_NOSYMFOLLOW}, false},
	{"noatime", attrs{set: unix.MOUNT_ATTR_NOATIME, clr: atime}, true},
	{"strictatime", attrs{set: unix.MOUNT_ATTR_STRICTATIME, clr: atime}, true},
	{"relatime", attrs{set: unix.MOUNT_ATTR_RELATIME, clr: atime}, true},
	{"atime", attrs{set: unix.MOUNT_ATTR_RELATIME, clr: atime}, false},
	{"norelatime", attrs{set: unix.MOUNT_ATTR_RELATIME, clr: atime}, false},
	{"nostrictatime", attrs{set: unix.MOUNT_ATTR_RELATIME, clr: atime}, false},
}

type mountAttr struct {
	name string
	attrs
	atime bool // chooses how access times are kept; the options that only take back another do not
}

func mountAttrNamed(o string) *mountAttr {
	for i := range mountAttrs {
		if mountAttrs[i].name == o {
			return &mountAttrs[i]
		}
	}
	return nil
}

// superFlags are the options of the superblock.
var superFlags = [...]struct {
	name     string
	set, clr uintptr
}{
	{"sync", unix.MS_SYNCHRONOUS, 0}, {"async", 0, unix.MS_SYNCHRONOUS}, {"dirsync", unix.MS_DIRSYNC, 0},
	{"mand", unix.MS_MANDLOCK, 0}, {"nomand", 0, unix.MS_MANDLOCK}, {"silent", unix.MS_SILENT, 0}, {"loud", 0, unix.MS_SILENT},
	{"iversion", unix.MS_I_VERSION, 0}, {"noiversion", 0, unix.MS_I_VERSION},
	{"lazytime", unix.MS_LAZYTIME, 0}, {"nolazytime", 0, unix.MS_LAZYTIME},
}

func superFlag(o string) (set, clr uintptr, ok bool) {
	for i := range superFlags {
		if f := &superFlags[i]; f.name == o {
			return f.set, f.clr, true
		}
	}
	return 0, 0, false
}

// propagationTypes are the propagation types of a mount's options and of
// linux.rootfsPropagation.
var propagationTypes = [...]struct {
	name  string
	flags int
}{
	{"private", unix.MS_PRIVATE}, {"rprivate", unix.MS_PRIVATE | unix.MS_REC},
	{"shared", unix.MS_SHARED}, {"rshared", unix.MS_SHARED | unix.MS_REC},
	{"slave", unix.MS_SLAVE}, {"rslave", unix.MS_SLAVE | unix.MS_REC},
	{"unbindable", unix.MS_UNBINDABLE}, {"runbindable", unix.MS_UNBINDABLE | unix.MS_REC},
}

func propagation(name string) (int, bool) {
	for _, p := range propagationTypes {
		if p.name == name {
			return p.flags, true
		}
	}
	return 0, false
}

// MountOptions are all options that have a meaning here; others go to the file
// system.
func MountOptions() []string {
	list := []string{"defaults", "bind", "rbind", "remount", "tmpcopyup", "idmap", "ridmap", "src-nofollow", "copy-symlink", "dest-nofollow"}
	for i := range mountAttrs {
		list = append(list, mountAttrs[i].name, "r"+mountAttrs[i].name)
	}
	for i := range superFlags {
		list = append(list, superFlags[i].name)
	}
	for _, p := range propagationTypes {
		list = append(list, p.name)
	}
	slices.Sort(list)
	return list
}

// parseOptions gives a mount's options their meaning (mount(8), and
// config-linux.md for the recursive forms).
func parseOptions(m *spec.Mount) (o options) {
	o.bind = m.Type == "bind" || m.Type == "rbind"
	o.recursive = m.Type == "rbind"
	for _, opt := range m.Options {
		if a := mountAttrNamed(opt); a != nil {
			o.attr.add(a.attrs)
			o.given, o.atime = true, o.atime || a.atime
			continue
		}
		if len(opt) > 1 && opt[0] == 'r' {
			if a := mountAttrNamed(opt[1:]); a != nil {
				o.rattr.add(a.attrs)
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
		case opt == "src-nofollow":
			o.nofollowSource = true
		case opt == "copy-symlink":
			o.nofollowSource, o.copySymlink = true, true
		case opt == "dest-nofollow":
			o.nofollowDest = true
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
