package virtiofs

import (
	"sync"

	"ostia/internal/vm/virtio"

	"golang.org/x/sys/unix"
)

// handle is a file or folder that the guest has opened.
type handle struct {
	node  *node
	fd    int // -1 for a hidden folder
	flags int
	pins  sync.WaitGroup // requests that use fd

	// What was read last of a folder, and the position where that begins.
	mu      sync.Mutex
	from    int64
	listing []byte
}

func (h *handle) writable() bool { return h.flags&unix.O_ACCMODE != unix.O_RDONLY }
func (h *handle) unpin()         { h.pins.Done() }

func (h *handle) release() {
	if h.fd < 0 {
		return
	}
	go func() {
		h.pins.Wait()
		unix.Close(h.fd)
	}()
}

func (s *Server) handle(number uint64) *handle {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.handles[number]
	if h != nil {
		h.pins.Add(1)
	}
	return h
}

func (s *Server) addHandle(h *handle) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.next
	s.next++
	s.handles[n] = h
	return n
}

// openFile opens a regular file or a folder, and nothing else: a device, a
// socket or a FIFO of the host is no business of the guest's. The type is that
// of the descriptor, which cannot change.
func (s *Server) openFile(n *node, flags int) (int, error) {
	flags |= unix.O_CLOEXEC | unix.O_NOCTTY | unix.O_NONBLOCK
	switch n.mode & unix.S_IFMT {
	case unix.S_IFDIR:
		flags |= unix.O_DIRECTORY
	case unix.S_IFREG:
	default:
		return -1, unix.ENXIO
	}
	for {
		fd, err := unix.Openat(s.proc, s.path(n.fd), flags, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// Flags of an answer to OPEN.
const keepCache = 2

// open follows struct fuse_open_in. The guest counts positions itself, appends
// at the end that it knows, and has checked what its user may do.
func (s *Server) open(r *request, n *node) error {
	flags := int(r.u32(0))
	if r.op == opOpendir {
		flags = unix.O_RDONLY
	}
	access := flags & unix.O_ACCMODE
	if access == unix.O_WRONLY {
		access = unix.O_RDWR // the guest's page cache reads what it writes a part of
	}
	fd, err := s.openFile(n, access|flags&(unix.O_TRUNC|unix.O_SYNC|unix.O_DSYNC))
	if err == unix.EACCES && access != flags&unix.O_ACCMODE {
		fd, err = s.openFile(n, flags&(unix.O_ACCMODE|unix.O_TRUNC|unix.O_SYNC|unix.O_DSYNC))
	}
	if err != nil {
		return err
	}
	r.put64(s.addHandle(&handle{node: n, fd: fd, flags: access}))
	r.put32(keepCache, 0)
	return nil
}

func (s *Server) close(r *request) error {
	s.mu.Lock()
	h := s.handles[r.u64(0)]
	delete(s.handles, r.u64(0))
	s.mu.Unlock()
	if h == nil {
		return unix.EBADF
	}
	h.release()
	return nil
}

// read follows struct fuse_read_in: fh, offset, size.
func (s *Server) read(r *request) (int, error) {
	h := s.handle(r.u64(0))
	if h == nil {
		return 0, unix.EBADF
	}
	defer h.unpin()
	to := virtio.Limit(r.out, int(min(r.u32(16), maxIO)))
	if len(to) == 0 {
		return 0, nil
	}
	for {
		n, err := unix.Preadv(h.fd, to, int64(r.u64(8)))
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// write follows struct fuse_write_in: fh, offset, size.
func (s *Server) write(r *request) error {
	h := s.handle(r.u64(0))
	if h == nil {
		return unix.EBADF
	}
	defer h.unpin()
	from := virtio.Limit(r.data, int(min(r.u32(16), maxIO)))
	n, err := 0, error(nil)
	if len(from) > 0 {
		n, err = unix.Pwritev(h.fd, from, int64(r.u64(8)))
		for err == unix.EINTR {
			n, err = unix.Pwritev(h.fd, from, int64(r.u64(8)))
		}
	}
	if err != nil {
		return err
	}
	r.put32(uint32(n), 0)
	return nil
}

// fileOperation is what is done to an open file besides reading and writing.
func (s *Server) fileOperation(r *request) error {
	h := s.handle(r.u64(0))
	if h == nil {
		return unix.EBADF
	}
	defer h.unpin()
	switch r.op {
	case opFsync, opFsyncdir:
		if h.fd < 0 {
			return nil
		}
		if r.u32(8)&1 != 0 {
			return unix.Fdatasync(h.fd)
		}
		return unix.Fsync(h.fd)
	case opFallocate: // fh, offset, length, mode
		return unix.Fallocate(h.fd, r.u32(24), int64(r.u64(8)), int64(r.u64(16)))
	case opLseek: // fh, offset, whence
		switch whence := int(r.u32(16)); whence {
		case unix.SEEK_DATA, unix.SEEK_HOLE:
			at, err := unix.Seek(h.fd, int64(r.u64(8)), whence)
			if err != nil {
				return err
			}
			r.put64(uint64(at))
			return nil
		}
		return unix.EINVAL
	}
	return s.copyRange(r, h)
}

// copyRange follows struct fuse_copy_file_range_in: fh_in, off_in, nodeid_out,
// fh_out, off_out, len, flags.
func (s *Server) copyRange(r *request, from *handle) error {
	to := s.handle(r.u64(24))
	if to == nil {
		return unix.EBADF
	}
	defer to.unpin()
	in, out := int64(r.u64(8)), int64(r.u64(32))
	n, err := unix.CopyFileRange(from.fd, &in, to.fd, &out, int(min(r.u64(40), 1<<30)), 0)
	if err != nil {
		return err
	}
	r.put32(uint32(n), 0)
	return nil
}

func (s *Server) syncfs(n *node) error {
	fd, err := s.openFile(n, unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Syncfs(fd)
}
