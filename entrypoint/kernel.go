package entrypoint

import (
	"encoding/binary"
	"strconv"
	"syscall"

	"ostia/internal/linux"

	"golang.org/x/sys/unix"
)

// readHandlers lists the handlers registered in binfmt_misc, the latest first,
// as the kernel searches them.
func readHandlers() ([]Handler, bool) {
	dir, known := openBinfmtMisc()
	if dir < 0 {
		return nil, known
	}
	defer unix.Close(dir)
	status, ok := readAt(dir, "status")
	if !ok {
		return nil, false
	}
	if status != "enabled\n" {
		return nil, true
	}
	names, err := entries(dir)
	if err != nil {
		return nil, false
	}
	var handlers []Handler
	for _, name := range names {
		if name == "status" || name == "register" {
			continue
		}
		text, _ := readAt(dir, name)
		if h, ok := parseHandler(name, text); ok {
			handlers = append(handlers, h)
		}
	}
	return handlers, true
}

// openBinfmtMisc opens the root of binfmt_misc: where it is mounted, else on a
// mount of our own that nobody sees, since handlers stay registered when it is
// unmounted. In a user namespace that mount would be a new, empty instance
// (Linux 6.7) which hides the host's handlers: then nothing is known.
func openBinfmtMisc() (fd int, known bool) {
	fd, err := unix.Open("/proc/sys/fs/binfmt_misc", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		var fs unix.Statfs_t
		if unix.Fstatfs(fd, &fs) == nil && fs.Type == unix.BINFMTFS_MAGIC {
			return fd, true
		}
		unix.Close(fd)
	}
	if linux.InUserNS() {
		return -1, false
	}
	fs, err := unix.Fsopen("binfmt_misc", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err == unix.ENODEV // not built in, and no module
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, false
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC|unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return -1, false
	}
	defer unix.Close(mount)
	fd, err = unix.Openat(mount, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, false
	}
	return fd, true
}

// entries are the names in a directory, of a huge one only the first.
func entries(dir int) ([]string, error) {
	const enough = 10000
	buf := make([]byte, 8192)
	var names []string
	for len(names) < enough {
		n, err := unix.ReadDirent(dir, buf)
		if err != nil || n == 0 {
			return names, err
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
	return names, nil
}

// readAt is the beginning of a small file.
func readAt(dir int, name string) (string, bool) {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", false
	}
	defer unix.Close(fd)
	buf := make([]byte, 8192)
	n, err := unix.Read(fd, buf)
	return string(buf[:max(n, 0)]), err == nil
}

// tryHeader has the kernel execute a file with the identification of header
// that it can never run: its ELF loader is the root directory. A kernel that
// would take the file answers EACCES because of that, another one ENOEXEC. An
// emulator that would take it is killed before it does anything. When nothing
// can be found out the answer is yes: the execve of the program decides.
func tryHeader(header []byte) bool {
	fd, err := unix.MemfdCreate("ostia", unix.MFD_CLOEXEC|unix.MFD_EXEC)
	if err == unix.EINVAL { // before Linux 6.3
		fd, err = unix.MemfdCreate("ostia", unix.MFD_CLOEXEC)
	}
	if err != nil {
		return true
	}
	image := neverRuns(header)
	if _, err = unix.Write(fd, image); err != nil {
		unix.Close(fd)
		return true
	}
	// A file open for writing cannot be executed.
	path := "/proc/self/fd/" + strconv.Itoa(fd)
	ro, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	unix.Close(fd)
	if err != nil {
		return true
	}
	defer unix.Close(ro)
	path = "/proc/self/fd/" + strconv.Itoa(ro)
	pid, err := syscall.ForkExec(path, []string{"ostia"}, &syscall.ProcAttr{Env: []string{}})
	if err != nil {
		return err != syscall.ENOEXEC
	}
	_ = unix.Kill(pid, unix.SIGKILL)
	for {
		if _, err := unix.Wait4(pid, nil, 0, nil); err != unix.EINTR {
			return true
		}
	}
}

// neverRuns is an ELF file for the same machine as header whose loader is "/".
func neverRuns(header []byte) []byte {
	h, ok := parseELF(header)
	if !ok {
		return nil
	}
	b := make([]byte, 64+56+2)
	copy(b, header[:20])
	order := h.order
	order.PutUint16(b[16:], 2) // ET_EXEC
	order.PutUint32(b[20:], 1) // EV_CURRENT
	size, segment := 52, b[52:]
	if h.wide {
		size, segment = 64, b[64:]
	}
	name := size + h.segmentSize()
	order.PutUint32(segment, ptInterp)
	if h.wide {
		order.PutUint64(b[32:], uint64(size))
		headerSizes(order, b[52:], size, h.segmentSize())
		order.PutUint64(segment[8:], uint64(name))
		order.PutUint64(segment[32:], 2)
	} else {
		order.PutUint32(b[28:], uint32(size))
		headerSizes(order, b[40:], size, h.segmentSize())
		order.PutUint32(segment[4:], uint32(name))
		order.PutUint32(segment[16:], 2)
	}
	b[name] = '/'
	return b[:name+2]
}

// headerSizes writes e_ehsize, e_phentsize and e_phnum = 1.
func headerSizes(order binary.ByteOrder, b []byte, ehsize, phentsize int) {
	order.PutUint16(b, uint16(ehsize))
	order.PutUint16(b[2:], uint16(phentsize))
	order.PutUint16(b[4:], 1)
}
