package plan

import (
	"ostia/internal/spec"
	"ostia/internal/stage"

	"golang.org/x/sys/unix"
)

// What a Landlock rule of each kind allows (landlock(7)). The last ones are of
// later versions of the interface, see handled.
const (
	landlockRead    = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	landlockExecute = landlockRead | unix.LANDLOCK_ACCESS_FS_EXECUTE
	landlockWrite   = landlockRead | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK | unix.LANDLOCK_ACCESS_FS_MAKE_SYM |
		unix.LANDLOCK_ACCESS_FS_REFER | unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV

	// landlockFile is what a rule for anything but a directory may have.
	landlockFile = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_READ_FILE |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
)

// handled are the kinds of access that the host's version of Landlock can
// restrict: all of them, so that what no rule allows is denied.
func (c *compiler) handled() int {
	all := landlockWrite | landlockExecute
	for _, later := range [...]struct{ abi, access int }{
		{2, unix.LANDLOCK_ACCESS_FS_REFER}, {3, unix.LANDLOCK_ACCESS_FS_TRUNCATE}, {5, unix.LANDLOCK_ACCESS_FS_IOCTL_DEV},
	} {
		if c.in.Host.Landlock < later.abi {
			all &^= later.access
		}
	}
	return all
}

// landlockRules makes the rule set that annotations ask for, while the process
// may still open everything in the container's root.
func (c *compiler) landlockRules() {
	rules := c.spec.Extensions.Landlock
	if len(rules) == 0 {
		return
	}
	c.ruleset = c.Cell()
	c.About("annotations."+rules[0].Annotation, -1, "")
	const rulesetAttrSize = 8 // of struct landlock_ruleset_attr, as first published
	c.Do("make the rule set", unix.SYS_LANDLOCK_CREATE_RULESET, c.U64(uint64(c.handled())), stage.Imm(rulesetAttrSize), stage.Imm(0)).To(c.ruleset)
	attr := c.U64(0, 0) // struct landlock_path_beneath_attr, packed
	allowed, fd := stage.CellAt(attr, 0), stage.CellAt(attr, 8)
	for i := range rules {
		r := &rules[i]
		access := map[spec.LandlockAccess]int{
			spec.LandlockRead: landlockRead, spec.LandlockWrite: landlockWrite, spec.LandlockExecute: landlockExecute,
		}[r.Access] & c.handled()
		c.About("annotations."+r.Annotation, -1, r.Path)
		// A link of procfs could lead out of the container.
		c.openat2("open", stage.Imm(unix.AT_FDCWD), c.Str(r.Path), c.how(0, unix.RESOLVE_NO_MAGICLINKS)).To(fd)
		c.Do("stat", unix.SYS_FSTAT, fd.Val(), c.stat())
		file := c.NewLabel()
		c.Set(allowed, stage.Imm(access&landlockFile))
		c.If(c.statMode().Val(), unix.S_IFMT, unix.S_IFDIR, file)
		c.Set(allowed, stage.Imm(access))
		c.Place(file)
		c.Do("add the rule", unix.SYS_LANDLOCK_ADD_RULE, c.ruleset.Val(), stage.Imm(unix.LANDLOCK_RULE_PATH_BENEATH), attr, stage.Imm(0))
		c.Do("close", unix.SYS_CLOSE, fd.Val())
	}
}

// landlock restricts the process by the rule set, for which it has no_new_privs:
// the last thing that changes what it may do before the entry point is judged.
func (c *compiler) landlock() {
	rules := c.spec.Extensions.Landlock
	if len(rules) == 0 {
		return
	}
	c.About("annotations."+rules[0].Annotation, -1, "")
	c.Do("restrict the process", unix.SYS_LANDLOCK_RESTRICT_SELF, c.ruleset.Val(), stage.Imm(0))
	c.Do("close", unix.SYS_CLOSE, c.ruleset.Val())
}
