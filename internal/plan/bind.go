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

// Bind is a bind mount that the runtime makes.
type Bind struct {
	Open       uint           // flags of open_tree(2)
	Set, Clear uint64         // MOUNT_ATTR_* that the options ask for
	Implied    uint64         // what they clear as well, by not naming it
	Below      unix.MountAttr // for the mount and all below it
}

// BindOf is what the options of a bind mount mean.
func BindOf(m *spec.Mount) (b Bind) {
	o := parseOptions(m)
	if o.recursive {
		b.Open |= unix.AT_RECURSIVE
	}
	if o.nofollowSource {
		b.Open |= unix.AT_SYMLINK_NOFOLLOW
	}
	asked, implied := o.ofBind()
	b.Set, b.Clear, b.Implied = asked.set, asked.clr, implied
	b.Below = unix.MountAttr{Attr_set: o.rattr.set, Attr_clr: o.rattr.clr}
	return b
}

// inherited are the attributes that a mount without options keeps.
const inherited = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC | unix.MOUNT_ATTR_NOSYMFOLLOW

// ofBind are the attributes that the options give a bind mount. As with runc,
// which calls mount(2) with MS_REMOUNT: without any option for attributes it
// keeps the source's; with one it has exactly what is named, but for access
// times, which change only with an option that chooses how they are kept.
func (o *options) ofBind() (asked attrs, implied uint64) {
	if !o.given {
		return attrs{}, 0
	}
	asked = attrs{o.attr.set & inherited, o.attr.clr & inherited}
	implied = inherited &^ (asked.set | asked.clr)
	if o.atime {
		const times = atime | unix.MOUNT_ATTR_NODIRATIME
		asked.set |= o.attr.set & times
		asked.clr |= atime | times&^o.attr.set
	}
	return asked, implied
}

// bindAttributes gives a bind mount its attributes. In a user namespace those
// of the host's mount are locked (mount_namespaces(7)): what the options clear
// only by not naming it then stays.
func (c *compiler) bindAttributes(mnt stage.Cell, o *options) {
	asked, implied := o.ofBind()
	exact := attrs{asked.set, asked.clr | implied}
	if exact == (attrs{}) {
		return
	}
	op := c.changeAttr(mnt, exact, 0, false)
	if !c.in.Host.UserNS {
		return
	}
	locked, done, errno := c.NewLabel(), c.NewLabel(), c.Cell()
	op.Else(locked)
	c.Goto(done)
	c.Place(locked)
	c.Set(errno, c.FailedErrno())
	c.Expect("set attributes", errno, unix.EPERM)
	c.setAttr(mnt, asked, 0, false)
	for bit := uint64(1); bit <= implied; bit <<= 1 {
		if implied&bit != 0 {
			c.changeAttr(mnt, attrs{clr: bit}, 0, false).Ignore(unix.EPERM)
		}
	}
	c.Place(done)
}

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
