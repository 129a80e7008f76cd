package virtiofs

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// newServer serves a folder with a file, a link that leads out of it, a FIFO
// and a device.
func newServer(t testing.TB) (*Server, string) {
	t.Helper()
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	for _, err := range []error{
		os.Mkdir(root, 0o755), os.WriteFile(dir+"/secret", []byte("secret"), 0o600), os.WriteFile(root+"/file", []byte("content"), 0o644),
		os.Symlink("../secret", root+"/link"), unix.Mkfifo(root+"/fifo", 0o644), os.Mkdir(root+"/dir", 0o755),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	proc, err := unix.Open("/proc/self/fd", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(fd, proc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.reset(); unix.Close(fd); unix.Close(proc) })
	return s, root
}

// message is a FUSE request.
func message(op uint32, node uint64, body []byte) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, uint32(inHeader+len(body)))
	b = le.AppendUint32(b, op)
	b = le.AppendUint64(b, 7)
	b = le.AppendUint64(b, node)
	b = append(b, make([]byte, 16)...)
	return append(b, body...)
}

// ask sends a request and returns the errno and the body of the answer.
func ask(s *Server, op uint32, node uint64, body []byte) (unix.Errno, []byte) {
	out := make([]byte, 8192)
	n := s.Handle([][]byte{message(op, node, body)}, [][]byte{out[:16], out[16:]})
	if n < outHeader {
		return 0, nil
	}
	return unix.Errno(-int32(binary.LittleEndian.Uint32(out[4:]))), out[outHeader:n]
}

func lookup(t *testing.T, s *Server, name string) uint64 {
	t.Helper()
	e, b := ask(s, opLookup, 1, append([]byte(name), 0))
	if e != 0 {
		t.Fatalf("lookup %s: %v", name, e)
	}
	return binary.LittleEndian.Uint64(b)
}

func TestReadAndWrite(t *testing.T) {
	s, root := newServer(t)
	n := lookup(t, s, "file")
	e, b := ask(s, opOpen, n, make([]byte, 8))
	if e != 0 {
		t.Fatal(e)
	}
	handle := binary.LittleEndian.AppendUint64(nil, binary.LittleEndian.Uint64(b))
	io := append(append(append([]byte{}, handle...), make([]byte, 8)...), 3, 0, 0, 0)
	io = append(io, make([]byte, 20)...)
	if e, b := ask(s, opRead, n, io); e != 0 || string(b) != "con" {
		t.Errorf("read %q, %v", b, e)
	}
	e, b = ask(s, opOpen, n, binary.LittleEndian.AppendUint64(nil, unix.O_RDWR))
	if e != 0 {
		t.Fatal(e)
	}
	copy(io, b[:8])
	if e, b := ask(s, opWrite, n, append(io, "CON"...)); e != 0 || b[0] != 3 {
		t.Errorf("write %v, %v", b, e)
	}
	if text, _ := os.ReadFile(root + "/file"); string(text) != "CONtent" {
		t.Errorf("the file holds %q", text)
	}
}

// A folder that is emptied while it is read, as rm -r does, is emptied; read
// again from its beginning, it shows what has come.
func TestRemoveWhileListing(t *testing.T) {
	s, root := newServer(t)
	const files = 600
	for i := range files {
		if err := os.WriteFile(filepath.Join(root, "dir", fmt.Sprint(i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	dir := lookup(t, s, "dir")
	e, opened := ask(s, opOpendir, dir, make([]byte, 8))
	if e != 0 {
		t.Fatal(e)
	}
	le := binary.LittleEndian
	list := func(at uint64) (names []string, end uint64) {
		body := append(le.AppendUint64(append([]byte{}, opened[:8]...), at), make([]byte, 24)...)
		le.PutUint32(body[16:], 512)
		e, b := ask(s, opReaddir, dir, body)
		if e != 0 {
			t.Fatal(e)
		}
		for len(b) >= 24 { // ino, off, namelen, type, name
			n := int(le.Uint32(b[16:]))
			names, end = append(names, string(b[24:24+n])), le.Uint64(b[8:])
			b = b[(24+n+7)&^7:]
		}
		return names, end
	}
	seen := map[string]bool{}
	for names, at := list(0); len(names) > 0; names, at = list(at) {
		for _, name := range names {
			if seen[name] {
				t.Fatalf("%s is listed twice", name)
			}
			seen[name] = true
			if name != "." && name != ".." {
				if e, _ := ask(s, opUnlink, dir, append([]byte(name), 0)); e != 0 {
					t.Fatalf("unlink %s: %v", name, e)
				}
			}
		}
	}
	if len(seen) != files+2 {
		t.Errorf("%d names, want %d", len(seen), files+2)
	}
	if err := os.WriteFile(filepath.Join(root, "dir", "new"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if names, _ := list(0); len(names) != 3 {
		t.Errorf("from the beginning: %q", names)
	}
}

// The guest has no way out of the tree, and opens nothing but files and folders.
func TestHostile(t *testing.T) {
	s, root := newServer(t)
	for _, name := range []string{"..", ".", "", "dir/..", "../secret", "dir/x"} {
		for op, before := range map[uint32]int{opLookup: 0, opUnlink: 0, opRmdir: 0, opMkdir: 8, opMknod: 16, opCreate: 16} {
			if e, _ := ask(s, op, 1, append(make([]byte, before), append([]byte(name), 0)...)); e != unix.EINVAL {
				t.Errorf("operation %d on %q: %v, want EINVAL", op, name, e)
			}
		}
	}
	if e, _ := ask(s, opLookup, lookup(t, s, "link"), []byte("x\x00")); e != unix.ENOTDIR {
		t.Errorf("lookup in a link: %v", e)
	}
	for _, name := range []string{"link", "fifo"} {
		if e, _ := ask(s, opOpen, lookup(t, s, name), make([]byte, 8)); e != unix.ENXIO {
			t.Errorf("open %s: %v, want ENXIO", name, e)
		}
	}
	device := binary.LittleEndian.AppendUint64(nil, unix.S_IFCHR|0o666)
	if e, _ := ask(s, opMknod, 1, append(append(device, make([]byte, 8)...), "null\x00"...)); e != unix.EPERM {
		t.Errorf("mknod of a device: %v, want EPERM", e)
	}
	if e, _ := ask(s, opGetattr, 99, make([]byte, 16)); e != unix.ESTALE {
		t.Errorf("an unknown node: %v, want ESTALE", e)
	}
	for op, size := range fixed {
		if e, b := ask(s, op, 1, make([]byte, size-1)); e != unix.EINVAL && b != nil {
			t.Errorf("operation %d with a body too short: %v", op, e)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "../secret")); err != nil {
		t.Error(err)
	}
}

// What shows the host's kernel looks empty.
func TestHidden(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	s, _ := newServer(t)
	proc, err := unix.Open("/proc", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	n, err := s.adopt(proc, s.root, &st)
	if err != nil {
		t.Fatal(err)
	}
	for op, want := range map[uint32]unix.Errno{opLookup: unix.ENOENT, opUnlink: unix.EROFS, opOpen: unix.EROFS, opGetattr: 0} {
		if e, _ := ask(s, op, n.number, append([]byte("self"), make([]byte, 16)...)); e != want {
			t.Errorf("operation %d: %v, want %v", op, e, want)
		}
	}
}

// Whatever a guest sends, nothing panics, and nothing outside changes.
func FuzzRequests(f *testing.F) {
	for op, size := range fixed {
		f.Add(message(op, 1, append(make([]byte, size), "file\x00file2\x00"...)))
	}
	f.Add(append(message(opLookup, 1, []byte("file\x00")), message(opOpen, 2, make([]byte, 8))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, root := newServer(t)
		for i := 0; len(b) >= inHeader && i < 32; i++ {
			n := int(binary.LittleEndian.Uint32(b)) % 256
			n = min(max(n, inHeader), len(b))
			switch binary.LittleEndian.Uint32(b[4:]) {
			case opSyncfs, opFsync, opFsyncdir, opFallocate:
				b = b[n:]
				continue // of this machine's disk
			}
			out := make([]byte, 2048)
			if k := s.Handle([][]byte{b[:n/2], b[n/2 : n]}, [][]byte{out[:10], out[10:]}); k > len(out) {
				t.Errorf("%d bytes written to %d", k, len(out))
			}
			b = b[n:]
		}
		if text, err := os.ReadFile(filepath.Join(root, "../secret")); err != nil || string(text) != "secret" {
			t.Errorf("outside: %q %v", text, err)
		}
	})
}

// A read-only server reads, and changes nothing, whatever is asked.
func TestReadOnly(t *testing.T) {
	s, root := newServer(t)
	s.ReadOnly = true
	n := lookup(t, s, "file")
	e, b := ask(s, opOpen, n, make([]byte, 8))
	if e != 0 {
		t.Fatal(e)
	}
	handle := append([]byte{}, b[:8]...)
	io := append(append(append([]byte{}, handle...), make([]byte, 8)...), 3, 0, 0, 0)
	io = append(io, make([]byte, 20)...)
	if e, b := ask(s, opRead, n, io); e != 0 || string(b) != "con" {
		t.Errorf("read %q, %v", b, e)
	}
	long := make([]byte, 128)
	for name, request := range map[string]struct {
		op   uint32
		node uint64
		body []byte
	}{
		"open": {opOpen, n, binary.LittleEndian.AppendUint64(nil, unix.O_RDWR)}, "truncate": {opOpen, n, binary.LittleEndian.AppendUint64(nil, unix.O_TRUNC)},
		"write": {opWrite, n, append(io, "CON"...)}, "setattr": {opSetattr, n, long}, "unlink": {opUnlink, 1, []byte("file\x00")},
		"mkdir": {opMkdir, 1, append(make([]byte, 8), "new\x00"...)}, "create": {opCreate, 1, append(make([]byte, 16), "new\x00"...)},
		"link": {opLink, 1, append(make([]byte, 8), "new\x00"...)}, "setxattr": {opSetxattr, n, append(make([]byte, 8), "user.a\x00"...)},
	} {
		if e, _ := ask(s, request.op, request.node, request.body); e != unix.EROFS {
			t.Errorf("%s: %v, want EROFS", name, e)
		}
	}
	if text, _ := os.ReadFile(root + "/file"); string(text) != "content" {
		t.Errorf("the file holds %q", text)
	}
}

// A new file has no more rights than its maker's umask leaves, unless its folder
// has a default access control list, which comes in the place of that.
func TestUmask(t *testing.T) {
	s, root := newServer(t)
	unix.Umask(0)
	mkdir := func(name string) os.FileMode {
		e, _ := ask(s, opMkdir, lookup(t, s, "dir"), append(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, 0o777), 0o027), name+"\x00"...))
		st, err := os.Stat(root + "/dir/" + name)
		if e != 0 || err != nil {
			t.Fatal(e, err)
		}
		return st.Mode().Perm()
	}
	if mode := mkdir("masked"); mode != 0o750 {
		t.Errorf("mode %o, want 750", mode)
	}
	// u::rwx,g::r-x,o::r-x (linux/posix_acl_xattr.h)
	list := []byte{2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 4, 0, 5, 0, 255, 255, 255, 255, 32, 0, 5, 0, 255, 255, 255, 255}
	if err := unix.Setxattr(root+"/dir", "system.posix_acl_default", list, 0); err == unix.EOPNOTSUPP {
		t.Skip("the file system has no access control lists")
	} else if err != nil {
		t.Fatal(err)
	}
	if mode := mkdir("by list"); mode != 0o755 {
		t.Errorf("mode %o, want 755", mode)
	}
}
