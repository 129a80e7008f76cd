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

// BelowRoot is what a path of the host is called below the container's root,
// when it lies there by its name. Nothing is below a root that is the host's.
func BelowRoot(root, path string) (below string, ok bool) {
	if root = clean(root); root == "" {
		return "", false
	}
	return strings.CutPrefix(clean(path), root+"/")
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

// openat2 opens path below dir. A ".." on the way that is confined fails with
// EAGAIN while anything at all is renamed or mounted on the machine.
func (c *compiler) openat2(verb string, dir, path, how stage.Arg) stage.Op {
	const openHowSize = 24
	return c.Do(verb, unix.SYS_OPENAT2, dir, path, how, stage.Imm(openHowSize)).Again()
}

// inRoot keeps a path inside the container's root: symbolic links, absolute
// ones too, are followed within it.
const inRoot = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS

// resolve opens an existing path of the container and goes to missing when
// there is none.
func (c *compiler) resolve(path string, fd stage.Cell, missing stage.Label) {
	from, rest := c.base(path)
	c.openat2("resolve", from.Val(), c.Str(rest), c.how(0, inRoot)).To(fd).Else(missing)
}

// kind is what a target is made as when it is missing.
type kind int

const (
	directory kind = iota
	file
	likeSource // as what the struct stat just filled in is
)

// Target is a path of the container that may have to be made.
type Target struct {
	Path string     // below the descriptor that the report gives
	File bool       // else a directory
	For  stage.Note // the member of the configuration that wants it
}

// target opens a path of the container to mount on. What is missing of it is
// made: in a filesystem of ours by an op, elsewhere by the runtime, since a
// link of the image that leads nowhere takes more than an op to follow.
func (c *compiler) target(path string, k kind, flags, resolve uint64) stage.Cell {
	return c.targetFound(path, k, flags, resolve, func(stage.Cell) {})
}

// targetFound is target, with ops for a path of the image that is there.
func (c *compiler) targetFound(path string, k kind, flags, resolve uint64, found func(stage.Cell)) stage.Cell {
	fd := c.Cell()
	from, rest := c.base(path)
	if rest == "" {
		rest = "."
	}
	name, verb := c.Str(rest), "resolve"
	if resolve&unix.RESOLVE_NO_SYMLINKS != 0 {
		verb = "must be mounted on ordinary directory: resolve" // runc's words
	}
	open := func() stage.Op {
		return c.openat2(verb, from.Val(), name, c.how(flags, resolve)).To(fd)
	}
	if from != c.root && strings.IndexByte(rest, '/') < 0 {
		isFile, made := c.NewLabel(), c.NewLabel()
		if k == likeSource {
			c.If(c.statMode().Val(), unix.S_IFMT, unix.S_IFDIR, isFile)
		}
		if k != file {
			c.Do("make directory", unix.SYS_MKDIRAT, from.Val(), name, stage.Imm(0o755)).Ignore(unix.EEXIST)
		}
		if k == likeSource {
			c.Goto(made)
		}
		c.Place(isFile)
		if k != directory {
			c.Do("make file", unix.SYS_MKNODAT, from.Val(), name, stage.Imm(unix.S_IFREG|0o644), stage.Imm(0)).Ignore(unix.EEXIST)
		}
		c.Place(made)
		open()
		return fd
	}
	missing, done := c.NewLabel(), c.NewLabel()
	open().Else(missing)
	found(fd)
	c.Goto(done)
	c.Place(missing)
	errno := c.Cell()
	c.Set(errno, c.FailedErrno())
	c.Expect(verb, errno, unix.ENOENT)
	c.Set(c.reportWord(ReportValue), from.Val())
	if k == likeSource {
		isFile, known := c.NewLabel(), c.NewLabel()
		c.If(c.statMode().Val(), unix.S_IFMT, unix.S_IFDIR, isFile)
		c.Set(c.reportWord(ReportHead), c.wanted(rest, false))
		c.Goto(known)
		c.Place(isFile)
		c.Set(c.reportWord(ReportHead), c.wanted(rest, true))
		c.Place(known)
	} else {
		c.Set(c.reportWord(ReportHead), c.wanted(rest, k == file))
	}
	c.milestone(WantTarget)
	c.await()
	open()
	c.Place(done)
	return fd
}

// wanted is the number of a target that the runtime is to make.
func (c *compiler) wanted(path string, file bool) stage.Arg {
	c.targets = append(c.targets, Target{path, file, c.Note()})
	return stage.Imm(len(c.targets) - 1)
}
