package virtiofs

import (
	"bytes"
	"encoding/binary"

	"ostia/internal/vm/virtio"

	"golang.org/x/sys/unix"
)

// maxListing is the most that one answer of a folder's entries holds, whatever
// the guest asks for.
const maxListing = 128 << 10

// The layout of struct linux_dirent64.
const (
	direntOffset = 8
	direntLength = 16
	direntType   = 18
	direntName   = 19
)

// readdir follows struct fuse_read_in.
func (s *Server) readdir(r *request, n *node) error {
	h := s.handle(r.u64(0))
	if h == nil || h.fd < 0 || h.node != n {
		return unix.EBADF
	}
	defer h.unpin()
	size := min(int(min(r.u32(16), maxListing)), virtio.Length(r.out))
	h.mu.Lock()
	defer h.mu.Unlock()
	rest, err := h.entries(int64(r.u64(8)))
	if err != nil {
		return err
	}
	r.answer = make([]byte, 0, size)
	for b := rest; len(b) >= direntName; {
		length := int(binary.LittleEndian.Uint16(b[direntLength:]))
		if length < direntName || length > len(b) {
			return unix.EIO
		}
		if !s.listed(r, n, b[:length], size) {
			break
		}
		b = b[length:]
	}
	return nil
}

// entries are a folder's from a position on, as getdents64(2) has them: the rest
// of what was read last, if the position lies there, or what follows it. A
// position is sought only where the guest jumps: on a tmpfs before Linux 6.6 it
// counts the entries, and a folder of which each removal took one was not
// emptied.
func (h *handle) entries(at int64) ([]byte, error) {
	position, rest := h.from, h.listing
	for position != at && len(rest) >= direntName {
		length := int(binary.LittleEndian.Uint16(rest[direntLength:]))
		if length < direntName || length > len(rest) {
			return nil, unix.EIO
		}
		position, rest = int64(binary.LittleEndian.Uint64(rest[direntOffset:])), rest[length:]
	}
	if position == at && at != 0 && len(rest) > 0 {
		return rest, nil
	}
	if position != at || at == 0 { // from the beginning on, it is read anew
		if _, err := unix.Seek(h.fd, at, unix.SEEK_SET); err != nil {
			return nil, err
		}
	}
	const block = 32 << 10
	b := make([]byte, block)
	n, err := unix.Getdents(h.fd, b)
	if err != nil {
		h.from, h.listing = -1, nil
		return nil, err
	}
	h.from, h.listing = at, b[:n]
	return h.listing, nil
}

// listed adds one entry to the answer, if there is room.
func (s *Server) listed(r *request, dir *node, dirent []byte, size int) bool {
	name, _, _ := bytes.Cut(dirent[direntName:], []byte{0})
	need := (24 + len(name) + 7) &^ 7
	if r.op == opReaddirplus {
		need += 128
	}
	if len(r.answer)+need > size {
		return false
	}
	le := binary.LittleEndian
	if r.op == opReaddirplus {
		s.listEntry(r, dir, string(name))
	}
	r.put64(le.Uint64(dirent), le.Uint64(dirent[direntOffset:]))
	r.put32(uint32(len(name)), uint32(dirent[direntType]))
	r.answer = append(r.answer, name...)
	for len(r.answer)%8 != 0 {
		r.answer = append(r.answer, 0)
	}
	return true
}

// listEntry adds what a lookup of the name would answer; "." and "..", and what
// has gone meanwhile, have no node.
func (s *Server) listEntry(r *request, dir *node, name string) {
	var st unix.Stat_t
	if name != "." && name != ".." {
		if n, err := s.find(dir, name, &st); err == nil {
			r.entry(n, &st)
			return
		}
	}
	r.answer = append(r.answer, make([]byte, 128)...)
}

func unlink(r *request, dir *node) error {
	name, _, err := r.name(0)
	if err != nil {
		return err
	}
	flags := 0
	if r.op == opRmdir {
		flags = unix.AT_REMOVEDIR
	}
	return unix.Unlinkat(dir.fd, name, flags)
}

// rename follows struct fuse_rename_in or fuse_rename2_in: the new folder, the
// flags, and the two names.
func (s *Server) rename(r *request, dir *node) error {
	at, flags := 8, uint32(0)
	if r.op == opRename2 {
		at, flags = 16, r.u32(8)
	}
	if flags&^(unix.RENAME_NOREPLACE|unix.RENAME_EXCHANGE) != 0 {
		return unix.EINVAL // RENAME_WHITEOUT would make a device node
	}
	old, at, err := r.name(at)
	if err != nil {
		return err
	}
	name, _, err := r.name(at)
	if err != nil {
		return err
	}
	to := s.node(r.u64(0))
	if to == nil {
		return unix.ESTALE
	}
	defer to.unpin()
	if to.hidden {
		return unix.EROFS
	}
	return unix.Renameat2(dir.fd, old, to.fd, name, uint(flags))
}

// link makes another name for a node.
func (s *Server) link(r *request, dir *node) error {
	name, _, err := r.name(8)
	if err != nil {
		return err
	}
	old := s.node(r.u64(0))
	if old == nil {
		return unix.ESTALE
	}
	defer old.unpin()
	if old.hidden {
		return unix.EROFS
	}
	if err := unix.Linkat(s.proc, s.path(old.fd), dir.fd, name, unix.AT_SYMLINK_FOLLOW); err != nil {
		return err
	}
	return s.answerEntry(r, dir, name)
}
