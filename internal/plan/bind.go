package plan

import (
	"ostia/internal/spec"
	"ostia/internal/stage"

	"golang.org/x/sys/unix"
)

// IDMapped reports whether the runtime must make a mount because its ids are
// mapped.
func IDMapped(m *spec.Mount) bool {
	return len(m.UIDMappings) > 0 || len(m.GIDMappings) > 0 || parseOptions(m).idmap
}

// RecursiveIDMap reports whether the mapping is for all mounts below, too.
func RecursiveIDMap(m *spec.Mount) bool { return parseOptions(m).ridmap }

// Attr is a change of a mount's attributes: the argument of mount_setattr(2)
// and its AT_RECURSIVE.
type Attr struct {
	Flags uint
	Attr  unix.MountAttr
}

// BindFlags are the open_tree(2) flags of a bind mount and the attributes to
// give it, for a mount that the runtime makes.
func BindFlags(m *spec.Mount) (flags uint, list []Attr) {
	o := parseOptions(m)
	if o.recursive {
		flags |= unix.AT_RECURSIVE
	}
	if o.nofollowSource {
		flags |= unix.AT_SYMLINK_NOFOLLOW
	}
	o.keepSource()
	if o.attr != (attrs{}) {
		list = append(list, Attr{0, unix.MountAttr{Attr_set: o.attr.set, Attr_clr: o.attr.clr}})
	}
	if o.rattr != (attrs{}) {
		list = append(list, Attr{unix.AT_RECURSIVE, unix.MountAttr{Attr_set: o.rattr.set, Attr_clr: o.rattr.clr}})
	}
	return flags, list
}

// keepSource leaves a bind mount what its source is where an option only names
// the default: "rw" does not make a read-only source writable.
func (o *options) keepSource() { o.attr.clr &= atime }

// Holder is a program that does nothing but wait for the end of the runtime.
func Holder(sync int) *Plan {
	p := stage.New()
	c := &compiler{Program: p, in: &Input{FDs: FDs{Sync: sync}}}
	c.makeReport()
	c.Do("wait", unix.SYS_READ, stage.Imm(sync), c.report.head, stage.Imm(1))
	c.exit(0)
	p.Place(stage.Failure)
	c.exit(125)
	return &Plan{Program: p}
}
