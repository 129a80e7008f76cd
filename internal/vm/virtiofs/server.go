package virtiofs

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"sync"

	"ostia/internal/vm/virtio"

	"golang.org/x/sys/unix"
)

// Server is a FUSE server over one tree.
type Server struct {
	proc     int  // /proc/self/fd, by which an O_PATH descriptor is opened
	ReadOnly bool // nothing of the tree can be changed; set before the first request

	mu      sync.Mutex
	root    *node
	nodes   map[uint64]*node
	ids     map[id]*node
	handles map[uint64]*handle
	next    uint64            // number of the next node or handle
	devices map[uint64]uint64 // host device -> what tells its inodes apart from another's
}

// New serves the folder root, an O_PATH descriptor. proc is one of a procfs's
// self/fd. The server owns both.
func New(root, proc int) (*Server, error) {
	s := &Server{proc: proc, devices: map[uint64]uint64{}}
	var st unix.Stat_t
	if err := unix.Fstat(root, &st); err != nil {
		return nil, fmt.Errorf("the container's root: %w", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil, fmt.Errorf("the container's root: %w", unix.ENOTDIR)
	}
	s.devices[st.Dev] = 0
	s.root = &node{number: 1, id: id{st.Dev, st.Ino}, ino: st.Ino, fd: root, mode: st.Mode}
	s.clear()
	return s, nil
}

func (s *Server) clear() {
	s.nodes = map[uint64]*node{1: s.root}
	s.ids = map[id]*node{s.root.id: s.root}
	s.handles = map[uint64]*handle{}
	s.next = 2
}

// reset forgets the guest's nodes and handles.
func (s *Server) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.handles {
		h.release()
	}
	for _, n := range s.nodes {
		if n != s.root {
			n.release()
		}
	}
	s.clear()
}

// slow reports whether a request may wait for a disk for long.
func (s *Server) slow(in [][]byte) bool {
	if len(in) == 0 || len(in[0]) < inHeader {
		return false
	}
	switch binary.LittleEndian.Uint32(in[0][4:]) {
	case opFsync, opFsyncdir, opSyncfs, opFallocate, opCopyRange:
		return true
	}
	return false
}

// Handle answers one request and returns the number of bytes written to out.
func (s *Server) Handle(in, out [][]byte) int {
	var head [inHeader]byte
	if virtio.Gather(head[:], in) < inHeader {
		return 0
	}
	le := binary.LittleEndian
	r := &request{
		op: le.Uint32(head[4:]), unique: le.Uint64(head[8:]), id: le.Uint64(head[16:]),
		uid: le.Uint32(head[24:]), gid: le.Uint32(head[28:]), out: virtio.Skip(out, outHeader),
	}
	err := r.copyBody(virtio.Skip(in, inHeader))
	n := 0
	if err == nil {
		n, err = s.serve(r)
	}
	switch r.op {
	case opForget, opBatchForget, opInterrupt:
		return 0
	}
	if err != nil {
		n, r.answer = 0, nil
	}
	if r.answer != nil {
		if n = virtio.Scatter(r.out, r.answer); n < len(r.answer) {
			n, err = 0, unix.ERANGE // more than the guest has room for
		}
	}
	var reply [outHeader]byte
	le.PutUint32(reply[:], uint32(outHeader+n))
	if err != nil {
		le.PutUint32(reply[4:], uint32(-int32(errno(err))))
	}
	le.PutUint64(reply[8:], r.unique)
	if virtio.Scatter(out, reply[:]) < outHeader {
		return 0
	}
	return outHeader + n
}

func errno(err error) unix.Errno {
	if e, ok := err.(unix.Errno); ok && e > 0 && e < 512 {
		return e
	}
	return unix.EIO
}

// copyBody copies the body out of the guest's memory, but for the data of a
// WRITE.
func (r *request) copyBody(in [][]byte) error {
	size := virtio.Length(in)
	if r.op == opWrite {
		r.data = virtio.Skip(in, writeHead)
		size = min(size, writeHead)
	}
	if size > maxBody {
		return unix.E2BIG
	}
	r.body = make([]byte, size)
	virtio.Gather(r.body, in)
	if size < fixed[r.op] {
		return unix.EINVAL
	}
	return nil
}

// serve carries out a request. It returns the number of bytes that went
// straight to r.out.
func (s *Server) serve(r *request) (int, error) {
	switch r.op {
	case opInit:
		return 0, r.init()
	case opBatchForget:
		s.batchForget(r)
		return 0, nil
	case opForget:
		s.forget(r.id, r.u64(0))
		return 0, nil
	case opInterrupt:
		return 0, nil
	}
	n := s.node(r.id)
	if n == nil {
		return 0, unix.ESTALE
	}
	defer n.unpin()
	if n.hidden {
		return 0, s.serveHidden(r, n)
	}
	if s.ReadOnly && r.changes() {
		return 0, unix.EROFS
	}
	switch r.op {
	case opRead:
		return s.read(r)
	case opLookup:
		return 0, s.lookup(r, n)
	case opGetattr:
		return 0, s.getattr(r, n)
	case opSetattr:
		return 0, s.setattr(r, n)
	case opReadlink:
		return 0, readlink(r, n)
	case opSymlink, opMknod, opMkdir, opCreate, opTmpfile:
		return 0, s.create(r, n)
	case opUnlink, opRmdir:
		return 0, unlink(r, n)
	case opRename, opRename2:
		return 0, s.rename(r, n)
	case opLink:
		return 0, s.link(r, n)
	case opOpen, opOpendir:
		return 0, s.open(r, n)
	case opRelease, opReleasedir:
		return 0, s.close(r)
	case opWrite:
		return 0, s.write(r)
	case opFsync, opFsyncdir, opFallocate, opLseek, opCopyRange:
		return 0, s.fileOperation(r)
	case opSyncfs:
		return 0, s.syncfs(n)
	case opStatfs:
		return 0, statfs(r, n)
	case opReaddir, opReaddirplus:
		return 0, s.readdir(r, n)
	case opSetxattr, opGetxattr, opListxattr, opRemovexattr:
		return 0, s.xattr(r, n)
	}
	return 0, unix.ENOSYS
}

// serveHidden shows an empty folder that nothing can be done to: what is
// mounted there is the host's kernel, and the guest mounts its own.
func (s *Server) serveHidden(r *request, n *node) error {
	switch r.op {
	case opLookup:
		return unix.ENOENT
	case opGetattr:
		return s.getattr(r, n)
	case opOpendir:
		r.put64(s.addHandle(&handle{node: n, fd: -1}), 0)
		return nil
	case opReaddir, opReaddirplus:
		r.answer = []byte{}
		return nil
	case opReleasedir:
		return s.close(r)
	case opStatfs:
		r.answer = make([]byte, 80)
		return nil
	case opGetxattr:
		return unix.ENODATA
	case opListxattr:
		return unix.EOPNOTSUPP
	}
	return unix.EROFS
}

// path names an O_PATH descriptor for a call that takes no empty path.
func (s *Server) path(fd int) string { return strconv.Itoa(fd) }
