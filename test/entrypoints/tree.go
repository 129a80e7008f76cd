// Package entrypoints has good and bad entry points: a root file system that
// holds them, and the table of what must come of each, for every way to start
// one.
package entrypoints

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Tree is a root file system on disk.
type Tree struct {
	Root   string // the rootfs
	Noexec string // a directory to be mounted noexec on /data
	ACL    bool   // the file system keeps access control lists
}

// NoexecMountPoint is where the table expects Tree.Noexec, mounted noexec.
const NoexecMountPoint = "/data"

// Build makes the tree in dir, which must exist. It takes root: there are
// device nodes and owners in it.
func Build(dir string) (*Tree, error) {
	t := &Tree{Root: filepath.Join(dir, "rootfs"), Noexec: filepath.Join(dir, "noexec")}
	defer syscall.Umask(syscall.Umask(0))
	b := builder{root: t.Root}
	for _, d := range []string{"bin", "usr/bin", "usr/local/bin", "opt", "data", "tmp", "etc", "dev", "proc", "sys", "lib", "lib64", "work", "srv"} {
		b.dir(d, 0o755, 0)
	}
	hello := Program(Native(), "hello\n")
	b.file("bin/hello", 0o755, 0, hello)
	b.file("usr/bin/only-here", 0o755, 0, Program(Native(), "only-here\n"))
	b.file("etc/passwd", 0o644, 0, []byte("root:x:0:0::/:/bin/hello\n"))
	b.files()
	b.scripts()
	b.formats()
	b.searchPath()
	b.acl(t)
	if b.err == nil {
		b.err = os.MkdirAll(t.Noexec, 0o755)
	}
	if b.err == nil {
		b.err = os.WriteFile(filepath.Join(t.Noexec, "tool"), hello, 0o755)
	}
	return t, b.err
}

// builder makes files until the first error.
type builder struct {
	root string
	err  error
}

func (b *builder) do(path string, f func(path string) error) {
	if b.err == nil {
		if err := f(filepath.Join(b.root, path)); err != nil {
			b.err = fmt.Errorf("%s: %w", path, err)
		}
	}
}

func (b *builder) dir(path string, mode uint32, uid int) {
	b.do(path, func(p string) error {
		return errors.Join(os.MkdirAll(p, 0o755), os.Chown(p, uid, uid), syscall.Chmod(p, mode))
	})
}

func (b *builder) file(path string, mode uint32, uid int, content []byte) {
	b.do(path, func(p string) error {
		return errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, content, 0o644), os.Chown(p, uid, uid), syscall.Chmod(p, mode))
	})
}

func (b *builder) link(path, target string) {
	b.do(path, func(p string) error { return os.Symlink(target, p) })
}

func (b *builder) node(path string, mode uint32, dev uint64) {
	b.do(path, func(p string) error {
		return errors.Join(syscall.Mknod(p, mode, int(dev)), syscall.Chmod(p, mode&0o777))
	})
}

// files are kinds, modes and names.
func (b *builder) files() {
	hello := Program(Native(), "hello\n")
	b.file("opt/mode-000", 0o000, 0, hello)
	b.file("opt/mode-644", 0o644, 0, hello)
	b.file("opt/mode-111", 0o111, 0, Program(Native(), "secret\n"))
	b.file("opt/mode-700", 0o700, 0, hello)
	b.file("opt/mode-700-user", 0o700, 1000, hello)
	b.file("opt/mode-4755", 0o4755, 0, hello)
	b.do("opt/group-750", func(p string) error {
		return errors.Join(os.WriteFile(p, hello, 0o750), os.Chown(p, 0, 2000), os.Chmod(p, 0o750))
	})
	b.do("opt/mode-055", func(p string) error { // its owner has less than anybody else
		return errors.Join(os.WriteFile(p, hello, 0o755), os.Chown(p, 1000, 1000), os.Chmod(p, 0o055))
	})
	b.dir("opt/directory", 0o755, 0)
	b.dir("opt/closed", 0o700, 0)
	b.file("opt/closed/hello", 0o755, 0, hello)
	b.dir("opt/closed/deep", 0o755, 0)
	b.file("opt/closed/deep/hello", 0o755, 0, hello)
	b.link("opt/link", "/bin/hello")
	b.link("opt/relative-link", "../bin/hello")
	b.link("opt/dangling", "/nowhere/program")
	b.link("opt/loop", "loop")
	b.link("opt/loop-a", "loop-b")
	b.link("opt/loop-b", "loop-a")
	b.link("opt/link-to-directory", "directory")
	b.link("opt/link-to-closed", "closed/hello")
	b.link("opt/escape", "../../../../../../../../etc/passwd")
	b.node("opt/fifo", syscall.S_IFIFO|0o755, 0)
	b.node("opt/char", syscall.S_IFCHR|0o755, unix.Mkdev(1, 3))
	b.node("opt/block", syscall.S_IFBLK|0o755, unix.Mkdev(7, 99))
	b.node("opt/socket", syscall.S_IFSOCK|0o755, 0)
	b.file("opt/busy", 0o755, 0, hello)
	b.file("opt/with space", 0o755, 0, hello)
	b.file(`opt/with "quotes"`, 0o755, 0, hello)
	b.file("opt/with\nnewline", 0o644, 0, hello)
	b.file("opt/no such file or directory", 0o644, 0, hello)
	b.file("opt/Server", 0o755, 0, hello)
	b.file("work/tool", 0o755, 0, Program(Native(), "work\n"))
	b.file("work/plain", 0o644, 0, hello)
}

// scripts have an interpreter each.
func (b *builder) scripts() {
	script := func(name, line string) { b.file("srv/"+name, 0o755, 0, []byte(line)) }
	script("good", "#!/bin/hello\n")
	script("argument", "#! /bin/hello  -x  \n")
	script("no-newline", "#!/bin/hello")
	script("crlf", "#!/bin/hello\r\necho hi\r\n")
	script("missing", "#!/bin/bash\n")
	script("directory", "#!/opt/directory\n")
	script("not-executable", "#!/etc/passwd\n")
	script("dangling", "#!/opt/dangling\n")
	script("loop", "#!/opt/loop\n")
	script("below-file", "#!/etc/passwd/sh\n")
	script("empty-line", "#!\n")
	script("blanks", "#!   \t \n")
	script("relative", "#!tool\n")
	script("too-long", "#!/bin/"+strings.Repeat("x", 300)+"\n")
	script("long-blanks", "#!"+strings.Repeat(" ", 230)+"/bin/hello\n")
	script("bom", "\xef\xbb\xbf#!/bin/hello\n")
	script("utf16", "\xff\xfe#\x00!\x00/\x00b\x00\n\x00")
	script("itself", "#!/srv/itself\n")
	script("of-foreign", "#!/opt/s390x\n")
	script("of-text", "#!/srv/text\n")
	script("of-closed", "#!/opt/closed/hello\n")
	script("text", "echo hello\n")
	script("binary-junk", "\x01\x02\x03\x04junk\x00\x00")
	b.file("srv/empty", 0o755, 0, nil)
	b.file("srv/unreadable", 0o111, 0, []byte("#!/bin/hello\n"))
	b.file("srv/mode-644", 0o644, 0, []byte("#!/bin/hello\n"))
	for i := 1; i <= 6; i++ { // chain-1 needs one interpreter, chain-6 six
		to := "/bin/hello"
		if i > 1 {
			to = fmt.Sprintf("/srv/chain-%d", i-1)
		}
		script(fmt.Sprintf("chain-%d", i), "#!"+to+"\n")
	}
}

// Foreign is a machine other than this one that has a 64-bit program in the
// tree, and its name.
func Foreign() (machine uint16, name string) {
	if Native() == ARM64 {
		return AMD64, "amd64"
	}
	return ARM64, "arm64"
}

// formats are ELF files, most of them broken.
func (b *builder) formats() {
	hello := Program(Native(), "hello\n")
	put := func(name string, content []byte) { b.file("opt/"+name, 0o755, 0, content) }
	change := func(content []byte, at int, to ...byte) []byte {
		c := append([]byte{}, content...)
		copy(c[at:], to)
		return c
	}
	machine, _ := Foreign()
	put("foreign", Program(machine, "hello\n"))
	if Native() != RISCV64 {
		put("riscv64", Program(RISCV64, "hello\n"))
	}
	put("s390x", Program(S390X, "hello\n"))
	put("i386", Program(I386, "hello32\n"))
	put("header-only", hello[:64])
	put("half-header", hello[:20])
	put("four-bytes", hello[:4])
	put("two-bytes", []byte("\x7fE"))
	put("truncated", append([]byte{}, change(hello, 64+32, 0, 0, 1)...)) // p_filesz 64 KiB
	put("no-segments", change(hello, 56, 0, 0))
	put("phentsize", change(hello, 54, 55))
	put("object", change(hello, 16, 1))
	put("core", change(hello, 16, 4))
	put("dynamic", Dynamic(Native(), "/lib/ld-test.so"))
	b.file("lib/ld-test.so", 0o755, 0, Program(Native(), "loaded\n"))
	b.file("lib/ld-plain.so", 0o644, 0, hello)
	b.file("lib/ld-foreign.so", 0o755, 0, Program(machine, "hello\n"))
	b.file("lib/ld-script.so", 0o755, 0, []byte("#!/bin/hello\n"))
	put("glibc", Dynamic(Native(), "/lib64/ld-linux-test.so.2"))
	put("musl", Dynamic(Native(), "/lib/ld-musl-test.so.1"))
	put("loader-directory", Dynamic(Native(), "/lib"))
	put("loader-plain", Dynamic(Native(), "/lib/ld-plain.so"))
	put("loader-foreign", Dynamic(Native(), "/lib/ld-foreign.so"))
	put("loader-script", Dynamic(Native(), "/lib/ld-script.so"))
	endless := Dynamic(Native(), "/lib/ld-test.so")
	put("loader-endless", change(endless, len(endless)-1, 'x'))
	put("loader-far", far())
	put("windows.exe", []byte("MZ\x90\x00\x03\x00\x00\x00"))
	put("macos", []byte("\xcf\xfa\xed\xfe\x07\x00\x00\x01"))
}

// far keeps the name of a missing loader beyond the first page, as patchelf
// does.
func far() []byte {
	c := Dynamic(Native(), "/lib/ld-far.so")
	c = append(c, make([]byte, 8192)...)
	name := "/lib/ld-far.so\x00"
	binary.LittleEndian.PutUint64(c[64+8:], uint64(len(c)))
	binary.LittleEndian.PutUint64(c[64+32:], uint64(len(name)))
	return append(c, name...)
}

// searchPath has names that are found in more than one directory.
func (b *builder) searchPath() {
	for _, d := range []string{"a", "b", "closed"} {
		b.dir("path/"+d, 0o755, 0)
	}
	first, second := Program(Native(), "first\n"), Program(Native(), "second\n")
	b.file("path/a/both", 0o755, 0, first)
	b.file("path/b/both", 0o755, 0, second)
	b.file("path/a/denied-first", 0o644, 0, first)
	b.file("path/b/denied-first", 0o755, 0, second)
	b.file("path/a/denied", 0o644, 0, first)
	b.dir("path/a/directory-first", 0o755, 0)
	b.file("path/b/directory-first", 0o755, 0, second)
	b.dir("path/a/directory", 0o755, 0)
	b.link("path/a/dangling-first", "nowhere")
	b.file("path/b/dangling-first", 0o755, 0, second)
	b.link("path/a/dangling", "nowhere")
	b.link("path/a/loop-first", "loop-first")
	b.file("path/b/loop-first", 0o755, 0, second)
	machine, _ := Foreign()
	b.file("path/a/foreign-first", 0o755, 0, Program(machine, "first\n"))
	b.file("path/b/foreign-first", 0o755, 0, second)
	b.file("path/closed/shut", 0o755, 0, first)
	b.dir("path/closed", 0o700, 0)
	b.file("path/b/shut", 0o755, 0, second)
}

// acl gives uid 1000 alone what the mode gives nobody, and takes it away again
// from a file that the mode gives to all.
func (b *builder) acl(t *Tree) {
	hello := Program(Native(), "hello\n")
	b.file("opt/acl-granted", 0o750, 0, hello)
	b.file("opt/acl-refused", 0o755, 0, hello)
	b.do("opt/acl-granted", func(p string) error {
		err := unix.Setxattr(p, "system.posix_acl_access", accessControlList(5, 5, 0), 0)
		t.ACL = err == nil
		if !t.ACL {
			return nil
		}
		return unix.Setxattr(strings.Replace(p, "granted", "refused", 1), "system.posix_acl_access", accessControlList(0, 5, 5), 0)
	})
}

// accessControlList is what posix_acl_xattr(5) of the kernel reads: the owner
// may do all, uid 1000 what user says, and the rest.
func accessControlList(user, group, other uint16) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 2)
	entry := func(tag, perm uint16, id uint32) {
		b = binary.LittleEndian.AppendUint16(b, tag)
		b = binary.LittleEndian.AppendUint16(b, perm)
		b = binary.LittleEndian.AppendUint32(b, id)
	}
	const none = ^uint32(0)
	entry(1, 7, none)
	entry(2, user, 1000)
	entry(4, group, none)
	entry(16, 5, none)
	entry(32, other, none)
	return b
}
