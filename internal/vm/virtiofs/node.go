package virtiofs

import (
	"sync"

	"ostia/internal/linux"

	"golang.org/x/sys/unix"
)

// id is what tells two files of the host apart.
type id struct{ dev, ino uint64 }

// node is a file that the guest knows: an O_PATH descriptor, which holds that
// very file whatever happens to its name.
type node struct {
	number  uint64
	id      id
	ino     uint64 // as the guest sees it
	fd      int
	mode    uint32 // its type never changes
	hidden  bool
	lookups uint64 // by Server.mu

	pins sync.WaitGroup // requests that use fd
}

// node finds a node and keeps its descriptor open until unpin.
func (s *Server) node(number uint64) *node {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nodes[number]
	if n != nil {
		n.pins.Add(1)
	}
	return n
}

func (n *node) unpin() { n.pins.Done() }

// release closes the descriptor of a node that is in no map any more.
func (n *node) release() {
	go func() {
		n.pins.Wait()
		unix.Close(n.fd)
	}()
}

// kernelFS are file systems that show the host's kernel and not files.
func kernelFS(magic int64) bool {
	switch magic {
	case unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC, unix.DEVPTS_SUPER_MAGIC,
		unix.DEBUGFS_MAGIC, unix.TRACEFS_MAGIC, unix.SECURITYFS_MAGIC, unix.BPF_FS_MAGIC, unix.BINFMTFS_MAGIC, unix.PSTOREFS_MAGIC,
		unix.EFIVARFS_MAGIC, unix.SELINUX_MAGIC, unix.SMACK_MAGIC, unix.NSFS_MAGIC,
		0x19800202, // mqueue
		0x62656570, // configfs
		0x65735543: // fusectl
		return true
	}
	return false
}

// find looks a name up in a folder and adds one lookup to its node.
func (s *Server) find(dir *node, name string, st *unix.Stat_t) (*node, error) {
	how := unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	fd, err := linux.Openat2(dir.fd, name, &how)
	if err != nil {
		return nil, err
	}
	n, err := s.adopt(fd, dir, st)
	if err != nil {
		unix.Close(fd)
	}
	return n, err
}

// adopt makes an O_PATH descriptor a node, or adds a lookup to the node that
// the file has. It owns fd if it succeeds.
func (s *Server) adopt(fd int, dir *node, st *unix.Stat_t) (*node, error) {
	if err := unix.Fstat(fd, st); err != nil {
		return nil, err
	}
	hidden := false
	if st.Dev != dir.id.dev {
		var fs unix.Statfs_t
		if err := unix.Fstatfs(fd, &fs); err != nil {
			return nil, err
		}
		if hidden = kernelFS(fs.Type); hidden && st.Mode&unix.S_IFMT != unix.S_IFDIR {
			return nil, unix.ENOENT
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := id{st.Dev, st.Ino}
	if n := s.ids[key]; n != nil {
		unix.Close(fd)
		n.lookups++
		return n, nil
	}
	n := &node{number: s.next, id: key, ino: s.inode(st), fd: fd, mode: st.Mode, hidden: hidden, lookups: 1}
	s.next++
	s.nodes[n.number], s.ids[key] = n, n
	return n, nil
}

// inode is a number that no other file of the tree has: the guest sees one
// device where the host has several. The server is locked.
func (s *Server) inode(st *unix.Stat_t) uint64 {
	salt, ok := s.devices[st.Dev]
	if !ok {
		salt = uint64(len(s.devices)) << 48
		s.devices[st.Dev] = salt
	}
	return st.Ino ^ salt
}

func (s *Server) forget(number, lookups uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nodes[number]
	if n == nil || n == s.root {
		return
	}
	if n.lookups -= min(lookups, n.lookups); n.lookups > 0 {
		return
	}
	delete(s.nodes, n.number)
	delete(s.ids, n.id)
	n.release()
}

func (s *Server) batchForget(r *request) {
	count := int(min(uint64(r.u32(0)), uint64(len(r.body)-8)/16))
	for i := range count {
		s.forget(r.u64(8+16*i), r.u64(16+16*i))
	}
}

// lookup answers with an entry. A name that is not there is one without a
// node, which the guest remembers too.
func (s *Server) lookup(r *request, dir *node) error {
	name, _, err := r.name(0)
	if err != nil {
		return err
	}
	return s.answerEntry(r, dir, name)
}

func (s *Server) answerEntry(r *request, dir *node, name string) error {
	var st unix.Stat_t
	n, err := s.find(dir, name, &st)
	if err == unix.ENOENT {
		r.entry(&node{}, &st)
		return nil
	}
	if err != nil {
		return err
	}
	r.entry(n, &st)
	return nil
}
