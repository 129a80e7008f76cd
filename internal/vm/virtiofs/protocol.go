package virtiofs

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Operations (linux/fuse.h, version 7.38).
const (
	opLookup      = 1
	opForget      = 2
	opGetattr     = 3
	opSetattr     = 4
	opReadlink    = 5
	opSymlink     = 6
	opMknod       = 8
	opMkdir       = 9
	opUnlink      = 10
	opRmdir       = 11
	opRename      = 12
	opLink        = 13
	opOpen        = 14
	opRead        = 15
	opWrite       = 16
	opStatfs      = 17
	opRelease     = 18
	opFsync       = 20
	opSetxattr    = 21
	opGetxattr    = 22
	opListxattr   = 23
	opRemovexattr = 24
	opInit        = 26
	opOpendir     = 27
	opReaddir     = 28
	opReleasedir  = 29
	opFsyncdir    = 30
	opCreate      = 35
	opInterrupt   = 36
	opBatchForget = 42
	opFallocate   = 43
	opReaddirplus = 44
	opRename2     = 45
	opLseek       = 46
	opCopyRange   = 47
	opSyncfs      = 50
	opTmpfile     = 51
)

const (
	inHeader  = 40
	outHeader = 16
	maxBody   = 72 << 10 // of a request other than WRITE: an attribute of 64 KiB and its name
	maxIO     = 1 << 20
	writeHead = 40 // struct fuse_write_in
)

// fixed is what the body of an operation begins with at least. An operation
// that is not here has no body.
var fixed = map[uint32]int{
	opForget: 8, opSetattr: 88, opMknod: 16, opMkdir: 8, opRename: 8, opLink: 8, opOpen: 8, opRead: 40, opWrite: writeHead,
	opRelease: 24, opFsync: 16, opSetxattr: 8, opGetxattr: 8, opListxattr: 8, opInit: 16, opOpendir: 8, opReaddir: 40,
	opReleasedir: 24, opFsyncdir: 16, opCreate: 16, opBatchForget: 8, opFallocate: 32, opReaddirplus: 40, opRename2: 16,
	opLseek: 24, opCopyRange: 56, opTmpfile: 16,
}

// request is one message of the guest, copied out of its memory once, and the
// answer to it.
type request struct {
	op       uint32
	unique   uint64
	id       uint64 // node
	uid, gid uint32
	body     []byte
	data     [][]byte // of WRITE, in the guest's memory
	out      [][]byte // where READ reads to, in the guest's memory
	answer   []byte
}

func (r *request) u32(at int) uint32 { return binary.LittleEndian.Uint32(r.body[at:]) }
func (r *request) u64(at int) uint64 { return binary.LittleEndian.Uint64(r.body[at:]) }

func (r *request) put32(v ...uint32) {
	for _, x := range v {
		r.answer = binary.LittleEndian.AppendUint32(r.answer, x)
	}
}

func (r *request) put64(v ...uint64) {
	for _, x := range v {
		r.answer = binary.LittleEndian.AppendUint64(r.answer, x)
	}
}

// changes reports whether a request is to change something, or opens a file for
// that.
func (r *request) changes() bool {
	switch r.op {
	case opLookup, opGetattr, opReadlink, opRead, opStatfs, opRelease, opGetxattr, opListxattr, opOpendir, opReaddir, opReaddirplus, opReleasedir, opLseek:
		return false
	case opOpen:
		return r.u32(0)&(unix.O_ACCMODE|unix.O_TRUNC) != unix.O_RDONLY
	}
	return true
}

// text is the NUL-terminated string at an offset of the body, and the offset
// behind it.
func (r *request) text(at int) (string, int, error) {
	n := bytes.IndexByte(r.body[at:], 0)
	if n < 0 {
		return "", 0, unix.EINVAL
	}
	return string(r.body[at : at+n]), at + n + 1, nil
}

// name is a string that names an entry of a folder: one component.
func (r *request) name(at int) (string, int, error) {
	s, end, err := r.text(at)
	if err != nil || s == "" || s == "." || s == ".." || bytes.IndexByte([]byte(s), '/') >= 0 {
		return "", 0, unix.EINVAL
	}
	return s, end, nil
}

// What is agreed on (FUSE_INIT flags).
const (
	asyncRead       = 1 << 0
	exportSupport   = 1 << 4
	bigWrites       = 1 << 5
	dontMask        = 1 << 6  // create's umask is for here: a folder's default access control list comes in its place
	autoInvalidate  = 1 << 12 // cached data is dropped when mtime or size change
	doReaddirplus   = 1 << 13
	readdirplusAuto = 1 << 14
	parallelDirops  = 1 << 18
	posixACL        = 1 << 20 // the guest holds its processes to access control lists
	maxPages        = 1 << 22
	cacheSymlinks   = 1 << 23
	wanted          = asyncRead | exportSupport | bigWrites | autoInvalidate | doReaddirplus | readdirplusAuto | parallelDirops | maxPages | cacheSymlinks | dontMask | posixACL
)

// init answers FUSE_INIT (struct fuse_init_out, 64 bytes).
func (r *request) init() error {
	if r.u32(0) != 7 || r.u32(4) < 31 {
		return unix.EPROTO
	}
	r.put32(7, 38, maxIO, r.u32(12)&wanted)
	r.put32(64 | 48<<16)            // background requests, and when they are congested
	r.put32(maxIO, 1)               // max_write, time_gran in ns
	r.put32(maxIO / 4096)           // max_pages, map_alignment
	r.put32(0, 0, 0, 0, 0, 0, 0, 0) // flags2 and what is not used
	return nil
}

// valid is for how long the guest may believe names and attributes: as long as
// a volume's other users may have to wait.
const valid = 1 // seconds

// attributes is a struct fuse_attr, 88 bytes.
func (r *request) attributes(st *unix.Stat_t, ino uint64) {
	r.put64(ino, uint64(st.Size), uint64(st.Blocks), uint64(st.Atim.Sec), uint64(st.Mtim.Sec), uint64(st.Ctim.Sec))
	r.put32(uint32(st.Atim.Nsec), uint32(st.Mtim.Nsec), uint32(st.Ctim.Nsec), st.Mode, uint32(st.Nlink), st.Uid, st.Gid,
		uint32(st.Rdev), uint32(st.Blksize), 0)
}

// entry is a struct fuse_entry_out, 128 bytes.
func (r *request) entry(n *node, st *unix.Stat_t) {
	r.put64(n.number, 0, valid, valid)
	r.put32(0, 0)
	r.attributes(st, n.ino)
}
