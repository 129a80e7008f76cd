package entrypoint

import (
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Explain looks at the tree for the reason of a failing verdict and fills it
// in. The status stays as it is. It opens nothing for reading but directories
// beneath the root, and looks at everything else by O_PATH.
func (v *Verdict) Explain(t *Tree) {
	switch {
	case v.Status == 0:
	case v.Path == "":
		v.Reason = t.notOnPath(v.Name)
	case v.Culprit != v.Path:
		v.explainInterpreter(t)
	default:
		v.explainProgram(t)
	}
}

// explainProgram is about the file itself. Its format has been explained by
// what was read of it.
func (v *Verdict) explainProgram(t *Tree) {
	p := t.walk(v.Path)
	var why string
	switch v.Errno {
	case syscall.EACCES:
		why = t.denied(&p)
		if p.isDirectory() {
			v.Errno = syscall.EISDIR
		}
	case syscall.ENOENT:
		why = t.absent(&p, v.Path)
		if why == "" || p.link == "" {
			why = first(misspelt(v.Name), why)
		}
	case syscall.ENOTDIR:
		why = notDirectory(&p)
	case syscall.ELOOP:
		why = circle(&p)
	case syscall.E2BIG:
		why = "argument list too long: args have " + strconv.Itoa(size(t.Args)) + " bytes and env " + strconv.Itoa(size(t.Env)) + " (a single one may have 131071, all together a quarter of the stack limit)"
	case syscall.ENAMETOOLONG:
		why = tooLong(v.Path)
	}
	if why == "" {
		return
	}
	if p.errno == 0 && p.shut == nil && p.link != "" && p.fs.Flags&unix.ST_NOEXEC == 0 {
		why = "it leads to " + plain(p.path) + ": " + why
	} else if v.searched && !strings.HasPrefix(why, plain(v.Path)) {
		why = plain(v.Path) + ": " + why
	}
	v.Reason = why
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// explainInterpreter is about an interpreter, which the reason names already.
func (v *Verdict) explainInterpreter(t *Tree) {
	p := t.walk(v.Culprit)
	why := ""
	switch v.Errno {
	case syscall.EACCES:
		if why = t.denied(&p); why == "" && p.isDirectory() {
			why = "is a directory"
		}
	case syscall.ENOENT:
		if p.link != "" && p.errno == syscall.ENOENT {
			v.Reason += ": " + dangling(&p)
		}
	case syscall.ENOTDIR:
		why = notDirectory(&p)
	case syscall.ELOOP:
		why = circle(&p)
	}
	if why != "" && v.its != "" {
		v.Reason = v.its + ": " + why
	}
}

func (p *place) kind() uint32      { return p.stat.Mode & unix.S_IFMT }
func (p *place) isDirectory() bool { return p.errno == 0 && p.kind() == unix.S_IFDIR }

// denied says why the kernel answered EACCES; "" for a directory, which has
// words of its own.
func (t *Tree) denied(p *place) string {
	if p.shut != nil {
		return t.who() + " may not search " + plain(p.shut.path) + " (" + t.mode(p.shut) + ")"
	}
	if p.errno != 0 {
		return ""
	}
	switch p.kind() {
	case unix.S_IFDIR:
		return ""
	case unix.S_IFIFO:
		return "is a FIFO, not a program"
	case unix.S_IFSOCK:
		return "is a socket, not a program"
	case unix.S_IFCHR:
		return "is a character device, not a program"
	case unix.S_IFBLK:
		return "is a block device, not a program"
	}
	if p.fs.Flags&unix.ST_NOEXEC != 0 {
		return plain(p.mount) + " is mounted noexec" + t.configured(p.mount)
	}
	if p.stat.Mode&0o111 == 0 && !p.acl {
		return "mode " + octal(p.stat.Mode) + " has no execute bit (chmod +x it in the image)"
	}
	if !t.may(p, execute) {
		return t.who() + " may not execute it (" + t.mode(p) + ")"
	}
	if p.acl {
		return t.who() + " is refused by its access control list (mode " + octal(p.stat.Mode) + ")"
	}
	if t.Rules != "" {
		return t.Rules + " do not let it be executed"
	}
	return "refused by the kernel although its mode is " + octal(p.stat.Mode) + ": a security module, or an access control list on the way?"
}

func (t *Tree) configured(mountPoint string) string {
	if t.Mount != nil {
		if pointer := t.Mount(mountPoint); pointer != "" {
			return " (" + pointer + ")"
		}
	}
	return ""
}

func (t *Tree) who() string { return "uid " + strconv.FormatUint(uint64(t.Credentials.UID), 10) }

// mode is "mode 0700, owner 0", and the group where its bits are other than
// those of the rest.
func (t *Tree) mode(p *place) string {
	id := func(maps []IDMap, id uint32) string {
		in, mapped := inside(maps, id)
		if !mapped {
			return "outside the user namespace"
		}
		return strconv.FormatUint(uint64(in), 10)
	}
	s := "mode " + octal(p.stat.Mode) + ", owner " + id(t.UIDs, p.stat.Uid)
	if m := p.stat.Mode; m>>3&1 != m&1 {
		s += ", group " + id(t.GIDs, p.stat.Gid)
	}
	return s
}

func octal(mode uint32) string {
	s := strconv.FormatUint(uint64(mode&0o7777), 8)
	return "0000"[:4-min(len(s), 4)] + s
}

// absent says why path leads nowhere; "" if there is no more to say.
func (t *Tree) absent(p *place, path string) string {
	if p.errno != syscall.ENOENT {
		return ""
	}
	if p.link != "" {
		return dangling(p)
	}
	parent, base := parentOf(p.path)
	for _, name := range t.names(parent) {
		if strings.EqualFold(name, base) || strings.TrimRight(name, " \r\n\t") == strings.TrimRight(base, " \r\n\t") {
			return plain(parent) + " holds " + quote(name)
		}
	}
	if path[0] != '/' || !strings.HasSuffix(strings.TrimRight(path, "/"), base) {
		return plain(p.path) + " does not exist"
	}
	return ""
}

func dangling(p *place) string {
	return plain(p.link) + " is a symbolic link to " + quote(p.to) + ", which does not exist"
}

// circle names a link of too many; "" if the errno was about interpreters.
func circle(p *place) string {
	if p.errno != syscall.ELOOP || p.link == "" {
		return ""
	}
	return "symbolic links go round in circles (" + plain(p.link) + " leads to " + quote(p.to) + ")"
}

func parentOf(path string) (dir, base string) {
	i := strings.LastIndexByte(path, '/')
	if i <= 0 {
		return "/", path[i+1:]
	}
	return path[:i], path[i+1:]
}

func notDirectory(p *place) string {
	if p.errno != syscall.ENOTDIR {
		return ""
	}
	return plain(p.path) + " is a file, used as a directory"
}

// size is what the strings take with their NULs.
func size(list []string) (n int) {
	for _, s := range list {
		n += len(s) + 1
	}
	return n
}

func tooLong(path string) string {
	if len(path) > 4095 {
		return "the path has " + strconv.Itoa(len(path)) + " bytes (at most 4095)"
	}
	for _, c := range strings.Split(path, "/") {
		if len(c) > 255 {
			return "a name in the path has " + strconv.Itoa(len(c)) + " bytes (at most 255)"
		}
	}
	return ""
}

// misspelt are mistakes that show in args[0] itself.
func misspelt(name string) string {
	switch {
	case name == "":
		return "args[0] is empty"
	case name[0] == '"' || name[0] == '\'' || name[0] == '[':
		return "args[0] begins with " + quote(name[:1]) + ": no shell reads quotes or brackets here"
	case strings.TrimRight(name, " \t\r\n") != name || strings.TrimLeft(name, " \t\r\n") != name:
		return "args[0] begins or ends with a blank or a line end"
	case strings.IndexByte(name, ' ') >= 0:
		return "args[0] holds a space: is it meant to be two arguments?"
	case strings.IndexByte(name, '=') > 0 && strings.IndexByte(name, '/') < 0:
		return "args[0] looks like a variable: those go into env"
	case name[0] == '-':
		return "args[0] looks like an option: is the program missing before it?"
	case name[0] == '~' || name[0] == '$':
		return "args[0] begins with " + quote(name[:1]) + ": no shell expands it"
	}
	return ""
}

// usualPath is where programs are looked for that PATH does not lead to.
var usualPath = [...]string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// notOnPath says why the search for name found nothing.
func (t *Tree) notOnPath(name string) string {
	if why := misspelt(name); why != "" {
		return why
	}
	path, set := searchPath(t.Env)
	candidates := Candidates(name, t.Env)
	for _, c := range candidates {
		p := t.walk(c)
		if p.errno != syscall.ENOENT {
			continue
		}
		if p.link != "" && strings.HasSuffix(c, p.link[strings.LastIndexByte(p.link, '/'):]) {
			return dangling(&p)
		}
		parent, base := parentOf(p.path)
		if base != name {
			continue // the directory is missing
		}
		for _, n := range t.names(parent) {
			if strings.EqualFold(n, name) {
				return plain(parent) + " holds " + quote(n)
			}
		}
	}
	lacks := "PATH is not set in env"
	switch {
	case set && path == "":
		lacks = "PATH is empty"
	case set:
		lacks = "PATH is " + quote(path)
	}
	for _, dir := range usualPath {
		if p := t.walk(dir + "/" + name); p.errno == 0 && p.kind() == unix.S_IFREG && p.stat.Mode&0o111 != 0 {
			return "it is " + plain(dir+"/"+name) + ", but " + lacks
		}
	}
	if p := t.walk(name); p.errno == 0 && p.kind() == unix.S_IFREG {
		return "the working directory holds it: " + quote("./"+name) + " would run it"
	}
	return lacks
}
