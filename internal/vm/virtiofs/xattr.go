package virtiofs

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// allowed are the extended attributes that are files' own. Others belong to the
// host: its security modules, its overlay file systems.
func allowed(name string) bool {
	return strings.HasPrefix(name, "user.") || name == "security.capability" ||
		name == "system.posix_acl_access" || name == "system.posix_acl_default"
}

const maxAttribute = 64 << 10

func (s *Server) xattr(r *request, n *node) error {
	path := magicLink(n)
	switch r.op {
	case opListxattr:
		return list(r, path)
	case opRemovexattr:
		name, _, err := r.text(0)
		if err != nil {
			return err
		}
		if !allowed(name) {
			return unix.EOPNOTSUPP
		}
		return unix.Removexattr(path, name)
	}
	name, end, err := r.text(8)
	if err != nil {
		return err
	}
	if !allowed(name) {
		return unix.EOPNOTSUPP
	}
	if r.op == opSetxattr { // size, flags, name, value
		size := int(min(r.u32(0), maxAttribute))
		if size > len(r.body)-end {
			return unix.EINVAL
		}
		return unix.Setxattr(path, name, r.body[end:end+size], int(r.u32(4)&(unix.XATTR_CREATE|unix.XATTR_REPLACE)))
	}
	return r.sized(func(b []byte) (int, error) {
		n, err := unix.Getxattr(path, name, b)
		if err == unix.EOPNOTSUPP && strings.HasPrefix(name, "system.posix_acl_") {
			err = unix.ENODATA // the guest would take it for a refusal
		}
		return n, err
	})
}

// magicLink names a file for the calls on attributes, which refuse descriptors
// by O_PATH.
func magicLink(n *node) string { return "/proc/self/fd/" + strconv.Itoa(n.fd) }

// sized answers with a value, or with its size if the guest asks for none of
// it.
func (r *request) sized(get func([]byte) (int, error)) error {
	size := min(r.u32(0), maxAttribute)
	if size == 0 {
		n, err := get(nil)
		if err != nil {
			return err
		}
		r.put32(uint32(n), 0)
		return nil
	}
	b := make([]byte, size)
	n, err := get(b)
	if err != nil {
		return err
	}
	r.answer = b[:n]
	return nil
}

// list answers with the names that are files' own.
func list(r *request, path string) error {
	b := make([]byte, maxAttribute)
	n, err := unix.Listxattr(path, b)
	if err != nil {
		return err
	}
	var own []byte
	for name := range strings.SplitSeq(string(b[:n]), "\x00") {
		if allowed(name) {
			own = append(append(own, name...), 0)
		}
	}
	return r.sized(func(b []byte) (int, error) {
		if len(b) > 0 && len(own) > len(b) {
			return 0, unix.ERANGE
		}
		copy(b, own)
		return len(own), nil
	})
}
