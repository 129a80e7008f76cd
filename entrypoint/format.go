package entrypoint

import (
	"strconv"
	"strings"
	"syscall"
)

// file judges the format of a file that may be executed, and of the files that
// it names as interpreter, one after the other. They are read as the kernel
// would read them.
func (j *judge) file(path string, f Probe) {
	subject := "" // whose format it is, in a reason: "" for the program itself
	for depth := 0; ; depth++ {
		if depth > maxInterpreters {
			j.v.fail(syscall.ELOOP, path, "scripts name each other as interpreter more than "+strconv.Itoa(maxInterpreters)+" deep")
			return
		}
		if f.Head == nil {
			return // executable but not readable: only the kernel can tell
		}
		next, role := j.one(path, f, subject)
		if next == "" {
			return
		}
		f = j.p.Probe(next)
		if f.Errno != 0 {
			j.unusable(next, role, subject, f.Errno)
			return
		}
		// A probe's head is good until the next probe only, and that is all it is
		// needed for.
		path, subject = next, role+" "+quote(next)
	}
}

// one judges a single file and returns the interpreter that the kernel would
// go on with, and its role.
func (j *judge) one(path string, f Probe, subject string) (next, role string) {
	switch b := f.Head; {
	case isELF(b):
		return j.elf(path, f, subject)
	case len(b) >= 2 && b[0] == '#' && b[1] == '!':
		return j.script(path, b, subject)
	}
	if h := j.handler(path, f.Head); h != nil {
		return j.handled(h)
	}
	j.v.fail(syscall.ENOEXEC, path, about(subject, plainReason(f.Head)))
	return "", ""
}

// about puts a reason after the name of the interpreter that it is about.
func about(subject, reason string) string {
	if subject == "" {
		return reason
	}
	return "its " + subject + ": " + reason
}

// plainReason says what a file is that has no format of the kernel's.
func plainReason(b []byte) string {
	switch {
	case len(b) == 0:
		return "the file is empty"
	case strings.HasPrefix(string(b), "\xef\xbb\xbf#!"):
		return "a byte order mark stands before its #! line (save it as UTF-8 without BOM)"
	case strings.HasPrefix(string(b), "\xff\xfe") || strings.HasPrefix(string(b), "\xfe\xff"):
		return "a UTF-16 text (save it as UTF-8 with a #! line first)"
	case strings.HasPrefix(string(b), "MZ"):
		return "exec format error: a Windows program"
	case strings.HasPrefix(string(b), "\xcf\xfa\xed\xfe") || strings.HasPrefix(string(b), "\xca\xfe\xba\xbe"):
		return "exec format error: a program for macOS or the Java VM"
	case strings.HasPrefix(string(b), "!<arch>\n"):
		return "exec format error: a static library"
	case isText(b):
		return "exec format error: a text without a #! line (put #!/bin/sh first)"
	}
	return "exec format error: neither an ELF program nor a script with a #! line"
}

func isText(b []byte) bool {
	for _, c := range b[:min(len(b), bufferSize)] {
		if c < ' ' && c != '\n' && c != '\t' && c != '\r' && c != '\f' && c != 0x1b || c == 0x7f {
			return false
		}
	}
	return true
}

func (j *judge) script(path string, head []byte, subject string) (next, role string) {
	name, _, ok := interpreter(head)
	switch {
	case !ok && isBlank(head):
		j.v.fail(syscall.ENOEXEC, path, about(subject, "exec format error: its #! line names no interpreter"))
	case !ok:
		j.v.fail(syscall.ENOEXEC, path, about(subject, "exec format error: its #! line is longer than the "+strconv.Itoa(bufferSize-1)+" bytes that the kernel reads"))
	case name == "":
		j.v.fail(syscall.ENOENT, path, about(subject, "its #! line has a NUL byte in place of an interpreter"))
	}
	return name, "interpreter"
}

// isBlank reports whether nothing follows #! on the first line.
func isBlank(head []byte) bool {
	line, _, _ := strings.Cut(string(head[2:min(len(head), bufferSize)]), "\n")
	return strings.Trim(line, " \t") == ""
}

// unusable says why an interpreter cannot be executed.
func (j *judge) unusable(name, role, subject string, e syscall.Errno) {
	j.v.fail(e, name, "")
	j.v.its = about(subject, "its "+role+" "+quote(name))
	switch {
	case e == syscall.ENOENT:
		j.v.Reason = about(subject, absent(name, role, "its "+role+" "+quote(name)))
	case e == syscall.EACCES:
		j.v.Reason = j.v.its + " may not be executed"
	default:
		j.v.Reason = j.v.its + ": " + j.v.Reason
	}
}

// absent is the reason for an interpreter that does not exist.
func absent(name, role, its string) string {
	if role == loaderRole {
		return its + " does not exist in the image" + libc(name)
	}
	if strings.HasSuffix(name, "\r") {
		return "its " + role + " is " + quote(name) + ": the file has Windows line endings"
	}
	if role == handlerRole {
		return its + " does not exist in the image"
	}
	if name[0] != '/' {
		return its + " (line 1) is a relative path that leads nowhere from the working directory"
	}
	return its + " (line 1) does not exist in the image"
}

// libc names the C library that an ELF loader belongs to.
func libc(loader string) string {
	base := loader[strings.LastIndexByte(loader, '/')+1:]
	switch {
	case strings.HasPrefix(base, "ld-musl-"):
		return " (built for musl, as in Alpine)"
	case strings.HasPrefix(base, "ld-linux") || strings.HasPrefix(base, "ld64.so") || base == "ld.so.1":
		return " (built for glibc, as in Debian or Fedora)"
	case base == "ld-uClibc.so.0" || base == "ld64-uClibc.so.0" || base == "ld-uClibc.so.1":
		return " (built for uClibc)"
	case base == "linker" || base == "linker64":
		return " (built for Android)"
	}
	return ""
}

const (
	loaderRole  = "ELF loader"
	handlerRole = "binfmt_misc handler"
)

// elf judges an ELF program. The one it returns is its loader, which the
// kernel does not go on to as it does to a script's interpreter: it has to be
// an ELF file for this machine itself.
func (j *judge) elf(path string, f Probe, subject string) (next, role string) {
	h, ok := parseELF(f.Head)
	if !ok {
		j.v.fail(syscall.ENOEXEC, path, about(subject, "exec format error: an ELF file cut off within its header ("+strconv.Itoa(len(f.Head))+" bytes)"))
		return "", ""
	}
	if !j.h.native(&h) && !(j.h.compat(&h) && j.h.tries(f.Head)) {
		return j.foreign(path, f.Head, &h, subject)
	}
	reason, loader := j.segments(path, f, &h)
	if reason != "" {
		j.v.fail(syscall.ENOEXEC, path, about(subject, reason))
		return "", ""
	}
	if loader != "" {
		j.loader(loader, &h, subject)
	}
	if r, ok := j.p.(CapabilityReader); ok && j.v.Status == 0 {
		if set := excess(r.FileCapabilities(path)); set != 0 {
			j.v.fail(syscall.EPERM, path, about(subject, excessive(set)))
		}
	}
	return "", ""
}

func (j *judge) foreign(path string, head []byte, h *elfHeader, subject string) (next, role string) {
	if handler := j.handler(path, head); handler != nil {
		return j.handled(handler)
	}
	if !j.h.known && !j.h.compat(h) && j.h.tries(head) {
		return "", ""
	}
	j.v.fail(syscall.ENOEXEC, path, about(subject, "built for "+h.architecture()+", this host is "+j.h.arch()+" and has no emulator for it"))
	return "", ""
}

// segments checks the program headers as load_elf_binary of the kernel's
// fs/binfmt_elf.c does, and that the file is as long as they say, which the
// kernel finds out only when it is too late (SIGBUS).
func (j *judge) segments(path string, f Probe, h *elfHeader) (reason, loader string) {
	const invalid = "exec format error: "
	switch h.kind {
	case 2, 3: // ET_EXEC, ET_DYN
	case 1:
		return invalid + "an object file, not linked yet", ""
	case 4:
		return invalid + "a core dump", ""
	default:
		return invalid + "an ELF file that is no program", ""
	}
	n := h.segmentSize()
	if h.phentsize != n || h.phnum == 0 || h.phnum*n > 65536 {
		return invalid + "its ELF program headers are invalid", ""
	}
	size := uint64(f.Size)
	if size == 0 && len(f.Head) < HeadSize {
		size = uint64(len(f.Head))
	}
	end := h.phoff + uint64(h.phnum*n)
	if end < h.phoff || size > 0 && end > size {
		return truncated(size, end), ""
	}
	table := j.read(path, f.Head, h.phoff, h.phnum*n)
	if table == nil {
		return "", "" // out of sight
	}
	var found *segment
	for i := 0; i < h.phnum; i++ {
		s := h.segment(table[i*n:])
		// The rest of the last page reads as zeros.
		const page = 4096
		if s.kind == ptLoad && s.size > 0 && size > 0 && (s.offset+s.size < s.offset || s.offset+s.size > (size+page-1)&^(page-1)) {
			return truncated(size, s.offset+s.size), ""
		}
		if s.kind == ptInterp && found == nil {
			found = &s
		}
	}
	if found == nil {
		return "", ""
	}
	if found.size < 2 || found.size > 4096 {
		return invalid + "the name of its ELF loader is invalid", ""
	}
	if end := found.offset + found.size; end < found.offset || size > 0 && end > size {
		return truncated(size, end), ""
	}
	name := j.read(path, f.Head, found.offset, int(found.size))
	if name == nil {
		return "", ""
	}
	if name[len(name)-1] != 0 {
		return invalid + "the name of its ELF loader has no end", ""
	}
	loader, _, _ = strings.Cut(string(name), "\x00")
	if loader == "" {
		return invalid + "the name of its ELF loader is empty", ""
	}
	return "", loader
}

func truncated(size, want uint64) string {
	return "exec format error: the file is cut off: it has " + strconv.FormatUint(size, 10) + " bytes, its headers speak of " + strconv.FormatUint(want, 10)
}

// read is a part of the file, nil if it cannot be seen.
func (j *judge) read(path string, head []byte, offset uint64, n int) []byte {
	if end := offset + uint64(n); end >= offset && end <= uint64(len(head)) {
		return head[offset:end]
	}
	r, ok := j.p.(RangeReader)
	if !ok || int64(offset) < 0 {
		return nil
	}
	if b := r.ReadRange(path, int64(offset), n); len(b) == n {
		return b
	}
	return nil
}

// loader judges the ELF loader of a program.
func (j *judge) loader(name string, program *elfHeader, subject string) {
	f := j.p.Probe(name)
	if f.Errno != 0 {
		j.unusable(name, loaderRole, subject, f.Errno)
		return
	}
	if f.Head == nil {
		return
	}
	bad := func(reason string) {
		j.v.fail(syscall.ELIBBAD, name, about(subject, "its "+loaderRole+" "+quote(name)+" "+reason))
	}
	h, ok := parseELF(f.Head)
	switch {
	case !isELF(f.Head):
		bad("is not an ELF file")
	case !ok:
		bad("is cut off within its header")
	case h.machine != program.machine || h.wide != program.wide:
		bad("is built for " + h.architecture() + ", the program for " + program.architecture())
	}
}

// handled goes on to a handler's interpreter.
func (j *judge) handled(h *Handler) (next, role string) {
	if h.Fixed || h.Interpreter == "" {
		return "", "" // opened when it was registered, or not known
	}
	return h.Interpreter, handlerRole
}
