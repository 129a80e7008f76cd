package initramfs

import (
	"bytes"
	"fmt"
)

// File types of an entry's mode.
const (
	folder = 0o040000
	file   = 0o100000
	device = 0o020000
)

// archive is a cpio archive in the "newc" format that the kernel unpacks
// (Documentation/driver-api/early-userspace/buffer-format.rst). Several may
// follow one another, each aligned to 4 bytes.
type archive struct {
	buf     bytes.Buffer
	entries int
}

// add appends an entry; major and minor are those of a device node.
func (a *archive) add(name string, mode, major, minor int, content []byte) {
	a.entries++
	fmt.Fprintf(&a.buf, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.entries, mode, 0, 0, 1, 0, len(content), 0, 0, major, minor, len(name)+1, 0, name)
	a.pad()
	a.buf.Write(content)
	a.pad()
}

func (a *archive) pad() {
	for a.buf.Len()%4 != 0 {
		a.buf.WriteByte(0)
	}
}

func (a *archive) bytes() []byte {
	a.add("TRAILER!!!", 0, 0, 0, nil)
	return a.buf.Bytes()
}
