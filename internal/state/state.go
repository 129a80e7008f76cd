// Package state owns what is on disk for a container: a folder with its state,
// its configuration and, until it is started, its exec fifo. Every change is
// whole or not there, so that a runtime killed at any moment leaves a state
// that can be read and deleted.
package state

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"ostia/internal/file"

	"golang.org/x/sys/unix"
)

// The names in a container's folder. Few files: making and removing one costs
// 50 µs where /run is a disk.
const (
	stateFile = "state.json" // what is known before the first process is forked, a line, and the configuration
	pidFile   = "pid"        // of the first process, and its start time
	fifoFile  = "exec.fifo"
	// The fifo's name until the container is created: its renaming is the
	// moment at which create has succeeded.
	newFifoFile = "exec.fifo.new"
	// Of a virtual machine: where its monitor listens, and why it failed.
	socketFile = "monitor.sock"
	rootFolder = "root" // of a restore under way: where the container's root is mounted for CRIU
	reasonFile = "reason"
	stillFile  = "still" // an update made the processes stand still and will let them go on
)

// The errors of this package. The engines match their texts: containerd looks
// for "does not exist".
var (
	ErrExist    = errors.New("container with this id already exists: delete it first, or choose another id")
	ErrNotExist = errors.New("container does not exist")
	ErrBusy     = errors.New("another ostia process is working on this container: try again when it has ended")
)

// Dir is a container's folder, open and perhaps locked by this process.
type Dir struct {
	fd     int
	root   string
	id     string
	locked bool
}

// ValidID reports whether id may name a container: [A-Za-z0-9_+-][A-Za-z0-9_+.-]*.
// It is a file name, so it never begins with a dot.
func ValidID(id string) bool {
	if id == "" || id[0] == '.' || len(id) > 1024 {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '_', c == '+', c == '-', c == '.':
		default:
			return false
		}
	}
	return true
}

// Create makes the folder of a new container and locks it. Whoever else finds
// it before the lock is ours is waited for, and may even have removed it.
func Create(root, id string) (*Dir, error) {
	for {
		if err := makeFolder(root, id); err != nil {
			return nil, err
		}
		d, err := View(root, id)
		if err == nil {
			err = d.lock(unix.LOCK_EX)
		}
		if err != ErrNotExist {
			return d, err
		}
	}
}

func makeFolder(root, id string) error {
	path := root + "/" + id
	err := unix.Mkdir(path, 0o700)
	if err == unix.ENOENT {
		if err = makeRoot(root); err == nil {
			err = unix.Mkdir(path, 0o700)
		}
	}
	if err == unix.EEXIST {
		return ErrExist
	}
	return err
}

// makeRoot makes the folder of all containers and those above it.
func makeRoot(root string) error {
	for i := 1; i <= len(root); i++ {
		if i == len(root) || root[i] == '/' {
			if err := unix.Mkdir(root[:i], 0o711); err != nil && err != unix.EEXIST {
				return err
			}
		}
	}
	return nil
}

// Open locks the folder of a container for a change.
func Open(root, id string) (*Dir, error) {
	d, err := View(root, id)
	if err != nil {
		return nil, err
	}
	if err := d.lock(unix.LOCK_EX | unix.LOCK_NB); err != nil {
		return nil, err
	}
	return d, nil
}

// lock locks the folder, or closes it.
func (d *Dir) lock(how int) error {
	err := unix.Flock(d.fd, how)
	for err == unix.EINTR {
		err = unix.Flock(d.fd, how)
	}
	if err == unix.EWOULDBLOCK {
		err = ErrBusy
	}
	// It may have been deleted, and made again, before the lock was ours.
	var locked, named unix.Stat_t
	if err == nil && (unix.Fstat(d.fd, &locked) != nil || unix.Stat(d.Path(), &named) != nil || locked.Ino != named.Ino) {
		err = ErrNotExist
	}
	if err != nil {
		d.Close()
	}
	d.locked = err == nil
	return err
}

// View opens the folder of a container to read: no lock is taken, since every
// file in it is whole at any moment.
func View(root, id string) (*Dir, error) {
	fd, err := unix.Open(root+"/"+id, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return nil, ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	return &Dir{fd: fd, root: root, id: id}, nil
}

// Close lets go of the folder and its lock.
func (d *Dir) Close() { unix.Close(d.fd) }

// Busy reports whether another process has locked the folder.
func (d *Dir) Busy() bool {
	if d.locked {
		return false
	}
	fd, err := unix.Open(d.Path(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB) == unix.EWOULDBLOCK
}

// Path is the folder's path.
func (d *Dir) Path() string { return d.root + "/" + d.id }

// Write writes the state of a new container, all but its process, and the
// configuration that it is made from.
func (d *Dir) Write(s *State, config string) error {
	b := s.encode()
	return d.create(stateFile, append(append(b, '\n'), config...))
}

// Rewrite replaces the state and the configuration.
func (d *Dir) Rewrite(s *State, config string) error {
	const next = stateFile + ".new"
	if err := d.create(next, append(append(s.encode(), '\n'), config...)); err != nil {
		_ = unix.Unlinkat(d.fd, next, 0)
		return err
	}
	return unix.Renameat(d.fd, next, d.fd, stateFile)
}

// WriteProcess says which the container's first process is: one write, so that
// a reader sees all of it or nothing.
func (d *Dir) WriteProcess(s *State) error {
	text := strconv.Itoa(s.Pid) + " " + strconv.FormatUint(s.StartTime, 10) + "\n"
	return d.create(pidFile, []byte(text))
}

// Read returns the state. A folder without one is a create that was killed
// before it wrote any: its state is the zero State with the id.
func (d *Dir) Read() (*State, error) {
	text, err := d.read(stateFile)
	line, config, whole := strings.Cut(text, "\n")
	if err == unix.ENOENT || err == nil && !whole {
		return &State{ID: d.id}, nil
	}
	if err != nil {
		return nil, err
	}
	s, err := decode(line)
	if err != nil {
		return nil, err
	}
	s.Config = config
	text, err = d.read(pidFile)
	if err != nil && err != unix.ENOENT {
		return nil, err
	}
	if text, whole = strings.CutSuffix(text, "\n"); whole {
		pid, start, _ := strings.Cut(text, " ")
		s.Pid, _ = strconv.Atoi(pid)
		s.StartTime, _ = strconv.ParseUint(start, 10, 64)
	}
	return s, nil
}

func (d *Dir) create(name string, b []byte) error {
	fd, err := unix.Openat(d.fd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	if err := file.WriteAll(fd, b); err != nil {
		unix.Close(fd)
		return err
	}
	return unix.Close(fd)
}

func (d *Dir) read(name string) (string, error) {
	fd, err := unix.Openat(d.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	return file.ReadAll(fd)
}

// MakeFifo makes the exec fifo and opens it for reading and writing, so that
// neither end ever waits for the other.
func (d *Dir) MakeFifo() (int, error) {
	if err := unix.Mkfifoat(d.fd, newFifoFile, 0o600); err != nil {
		return -1, err
	}
	return unix.Openat(d.fd, newFifoFile, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// NotifyDir is the folder that a container with a service manager finds its
// socket in, and NotifySocket the socket's name there.
const (
	NotifyDir    = "notify"
	NotifySocket = "notify.sock"
)

// MakeNotify makes that folder, for everybody to pass.
func (d *Dir) MakeNotify() error {
	err := unix.Mkdirat(d.fd, NotifyDir, 0o755)
	if err == nil {
		err = unix.Fchmodat(d.fd, NotifyDir, 0o755, 0) // whatever the umask is
	}
	return err
}

// OpenNotify opens that folder. unix.ENOENT: the container was made without.
func (d *Dir) OpenNotify() (int, error) {
	return unix.Openat(d.fd, NotifyDir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// Restoring says that the container's processes are being restored: until
// Restored it is being created. It makes an empty folder in the container's, to
// mount its root on, and returns the path.
func (d *Dir) Restoring() (mountPoint string, err error) {
	if err := unix.Mkdirat(d.fd, rootFolder, 0o700); err != nil {
		return "", err
	}
	return d.Path() + "/" + rootFolder, unix.Mkfifoat(d.fd, newFifoFile, 0o600)
}

// Restored says that the container's first process is the one written down.
func (d *Dir) Restored() error {
	if err := unix.Unlinkat(d.fd, rootFolder, unix.AT_REMOVEDIR); err != nil {
		return err
	}
	return unix.Unlinkat(d.fd, newFifoFile, 0)
}

// Created says that create has succeeded.
func (d *Dir) Created() error { return unix.Renameat(d.fd, newFifoFile, d.fd, fifoFile) }

// Fifo tells how far the container's create has come.
func (d *Dir) Fifo() (creating, created bool) {
	var st unix.Stat_t
	created = unix.Fstatat(d.fd, fifoFile, &st, unix.AT_SYMLINK_NOFOLLOW) == nil
	creating = !created && unix.Fstatat(d.fd, newFifoFile, &st, unix.AT_SYMLINK_NOFOLLOW) == nil
	return creating, created
}

// Waits reports whether a process waits at the exec fifo. None does where a
// start was killed after it had written and before it had removed the fifo.
func (d *Dir) Waits() bool {
	fd, err := d.openFifo()
	if err == nil {
		unix.Close(fd)
	}
	return err != unix.ENXIO
}

func (d *Dir) openFifo() (int, error) {
	return unix.Openat(d.fd, fifoFile, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// Start writes to the exec fifo and removes it, in this order: killed in
// between it leaves a container that runs, not one that nothing can start. Where
// the fifo could not be removed nothing is started. ENXIO: nobody waits there.
func (d *Dir) Start() error {
	if err := unix.Faccessat(d.fd, ".", unix.W_OK, 0); err != nil {
		return err
	}
	fd, err := d.openFifo()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte{'s'}); err != nil {
		return err
	}
	return unix.Unlinkat(d.fd, fifoFile, 0)
}

// Still says that the container is about to stand still for a change of this
// process's, and MovesAgain that it does no longer.
func (d *Dir) Still() error { return d.create(stillFile, nil) }

// MovesAgain is the end of Still.
func (d *Dir) MovesAgain() error { return unix.Unlinkat(d.fd, stillFile, 0) }

// LeftStill reports whether a process that said Still has ended without
// MovesAgain. It locks the folder, if it does; again is to be called after what
// is to be done about it.
func (d *Dir) LeftStill() (left bool, again func()) {
	there := func(d *Dir) bool { return unix.Faccessat(d.fd, stillFile, unix.F_OK, 0) == nil }
	if !there(d) {
		return false, nil
	}
	if d.locked {
		return true, func() { _ = d.MovesAgain() }
	}
	locked, err := Open(d.root, d.id)
	if err != nil {
		return false, nil // who has the lock will do it, or is that process
	}
	if !there(locked) {
		locked.Close()
		return false, nil
	}
	return true, func() {
		_ = locked.MovesAgain()
		locked.Close()
	}
}

// Remove removes the folder.
func (d *Dir) Remove() error {
	for _, name := range [...]string{pidFile, stateFile} {
		if err := unix.Unlinkat(d.fd, name, 0); err != nil && err != unix.ENOENT {
			return err
		}
	}
	if err := unix.Rmdir(d.Path()); err != unix.ENOTEMPTY {
		return err
	}
	for _, name := range [...]string{
		fifoFile, newFifoFile, stateFile + ".new", reportFile, reportFile + ".new", NotifyDir + "/" + NotifySocket, socketFile, reasonFile, stillFile,
	} {
		if err := unix.Unlinkat(d.fd, name, 0); err != nil && err != unix.ENOENT {
			return err
		}
	}
	for _, name := range [...]string{NotifyDir, rootFolder} {
		if err := unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR); err != nil && err != unix.ENOENT {
			return err
		}
	}
	return unix.Rmdir(d.Path())
}

// List returns the ids of all containers, in no order.
func List(root string) ([]string, error) {
	fd, err := unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	names, err := file.Names(fd)
	return slices.DeleteFunc(names, func(name string) bool { return !ValidID(name) }), err
}

// StartTime is when a process started, in clock ticks since boot (field 22 of
// /proc/PID/stat), and its state letter. With its pid it names a process for
// ever.
func StartTime(pid int) (ticks uint64, state byte, err error) {
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/stat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, 0, err
	}
	defer unix.Close(fd)
	var buf [1024]byte
	n, err := unix.Read(fd, buf[:])
	if err != nil {
		return 0, 0, err
	}
	return parseStat(string(buf[:n]))
}

func parseStat(s string) (ticks uint64, state byte, err error) {
	// The command, field 2, is in brackets and may hold anything.
	at := len(s) - 1
	for at >= 0 && s[at] != ')' {
		at--
	}
	if at < 0 {
		return 0, 0, unix.EIO
	}
	field, start := 2, -1
	for i := at + 1; i < len(s); i++ {
		if s[i] != ' ' {
			continue
		}
		if start >= 0 && field == 22 {
			ticks, err = strconv.ParseUint(s[start:i], 10, 64)
			return ticks, state, err
		}
		field++
		start = i + 1
		if field == 3 && start < len(s) {
			state = s[start]
		}
	}
	return 0, 0, unix.EIO
}
