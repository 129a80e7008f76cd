package plan

import (
	"strings"

	"ostia/internal/stage"

	"golang.org/x/sys/unix"
)

// attachment is a filesystem that this plan made and attached: paths below it
// are resolved from it, so that nothing the image put on the way matters.
type attachment struct {
	dest string // cleaned, without a leading slash
	fd   stage.Cell
}

// base is the descriptor from which to resolve a path of the container, and
// the path below it: the innermost filesystem made by us, else the root.
func (c *compiler) base(path string) (stage.Cell, string) {
	fd, rest := c.root, path
	best := -1
	for i := range c.attached {
		a := &c.attached[i]
		if len(a.dest) < best {
			continue
		}
		if below, ok := strings.CutPrefix(path, a.dest); ok && len(below) > 1 && below[0] == '/' {
			fd, rest, best = a.fd, below[1:], len(a.dest)
		}
	}
	return fd, rest
}

// clean is path.Clean of an absolute or relative path, without the leading
// slash: "" is the root.
func clean(path string) string {
	ok := len(path) > 1 && path[0] == '/' && path[len(path)-1] != '/'
	for i := 0; ok && i+1 < len(path); i++ {
		if path[i] == '/' && (path[i+1] == '/' || path[i+1] == '.') {
			ok = false
		}
	}
	if ok {
		return path[1:]
	}
	var parts []string
	for part := range strings.SplitSeq(path, "/") {
		switch part {
		case "", ".":
		case "..":
			if len(parts) > 0 {
				parts = parts[:len(parts)-1]
			}
		default:
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "/")
}

// SamePath reports whether two paths of the container are the same text once
// cleaned.
func SamePath(a, b string) bool { return clean(a) == clean(b) }

// how is a struct open_how for O_PATH with these RESOLVE_ flags.
func (c *compiler) how(extra uint64, resolve uint64) stage.Arg {
	for i := range c.hows {
		if c.hows[i].extra == extra && c.hows[i].resolve == resolve {
			return c.hows[i].at
		}
	}
	at := c.U64(unix.O_PATH|unix.O_CLOEXEC|extra, 0, resolve)
	c.hows = append(c.hows, openHow{extra, resolve, at})
	return at
}

type openHow struct {
	extra, resolve uint64
	at             stage.Arg
}

const openHowSize = 24

// inRoot keeps a path inside the container's root: symbolic links, absolute
// ones too, are followed within it.
const inRoot = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS

// resolve opens an existing path of the container and goes to missing when
// there is none.
func (c *compiler) resolve(path string, fd stage.Cell, missing stage.Label) {
	from, rest := c.base(path)
	c.Do("resolve", unix.SYS_OPENAT2, from.Val(), c.Str(rest), c.how(0, inRoot), stage.Imm(openHowSize)).To(fd).Else(missing)
}

// kind is what a mount's target is made as when it is missing.
type kind int

const (
	directory kind = iota
	file
	likeSource // as what cell mode says
)

// target opens a path of the container to mount on, and makes what is missing
// of it. mode holds the st_mode of the source for likeSource.
func (c *compiler) target(path string, k kind, mode stage.Cell, flags, resolve uint64) stage.Cell {
	fd := c.Cell()
	from, rest := c.base(path)
	if rest == "" {
		rest = "."
	}
	made, done := c.NewLabel(), c.NewLabel()
	how := c.how(flags, resolve)
	c.Do("resolve", unix.SYS_OPENAT2, from.Val(), c.Str(rest), how, stage.Imm(openHowSize)).To(fd).Else(made)
	c.Goto(done)
	c.Place(made)
	// One level at a time, each resolved from the base again: a link on the
	// way leads where the container would see it lead.
	dir := from
	for i := 0; i <= len(rest); i++ {
		if i < len(rest) && rest[i] != '/' {
			continue
		}
		sub, name := rest[:i], rest[:i]
		if s := strings.LastIndexByte(sub, '/'); s >= 0 {
			name = sub[s+1:]
		}
		if i == len(rest) && k != directory {
			c.makeFile(dir, name, k, mode)
		} else {
			c.Do("make directory", unix.SYS_MKDIRAT, dir.Val(), c.Str(name), stage.Imm(0o755)).Ignore(unix.EEXIST)
		}
		c.Do("resolve", unix.SYS_OPENAT2, from.Val(), c.Str(sub), how, stage.Imm(openHowSize)).To(fd)
		dir = fd
	}
	c.Place(done)
	return fd
}

// makeFile makes the last component of a target: a file, or what the source
// is.
func (c *compiler) makeFile(dir stage.Cell, name string, k kind, mode stage.Cell) {
	isFile, done := c.NewLabel(), c.NewLabel()
	at := c.Str(name)
	if k == likeSource {
		c.If(mode.Val(), unix.S_IFMT, unix.S_IFDIR, isFile)
		c.Do("make directory", unix.SYS_MKDIRAT, dir.Val(), at, stage.Imm(0o755)).Ignore(unix.EEXIST)
		c.Goto(done)
		c.Place(isFile)
	}
	c.Do("make file", unix.SYS_MKNODAT, dir.Val(), at, stage.Imm(unix.S_IFREG|0o644), stage.Imm(0)).Ignore(unix.EEXIST)
	c.Place(done)
}
