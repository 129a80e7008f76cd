// Package resctrl owns a container's resource control group: cache and memory
// bandwidth allocation and monitoring (Intel RDT, AMD QoS, Arm MPAM) by the
// resctrl file system (Documentation/filesystems/resctrl.rst). What it is to
// have is linux.intelRdt.
package resctrl

import (
	"errors"
	"strings"

	"ostia/internal/file"
	"ostia/internal/mountinfo"
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// Group is the group of a container.
type Group struct {
	root    string // mount point of resctrl
	dir     string // of the control group
	monitor string // of the monitoring group; "" is none
	own     bool   // the control group is this container's alone
	lines   []string
}

// ErrNotMounted is a host without the file system.
var ErrNotMounted = errors.New("no resctrl file system is mounted: this takes a processor with cache or memory bandwidth allocation, and mount -t resctrl resctrl /sys/fs/resctrl")

// New is the group of the container with that id. Nothing is made.
func New(r *spec.IntelRdt, id string) (*Group, error) {
	root, err := mountPoint()
	if err != nil {
		return nil, failed("linux.intelRdt", err)
	}
	return newGroup(root, r, id), nil
}

func newGroup(root string, r *spec.IntelRdt, id string) *Group {
	g := &Group{root: root, dir: root + "/" + id, own: true}
	if r.ClosID != nil {
		g.own = false
		g.dir = root + "/" + *r.ClosID
		if *r.ClosID == "/" {
			g.dir = root
		}
	}
	if r.Monitoring {
		g.monitor = g.dir + "/mon_groups/" + id
	}
	// In this order (config-linux.md#intelrdt).
	for _, line := range append([]string{r.L3CacheSchema, r.MemBwSchema}, r.Schemata...) {
		if line != "" {
			g.lines = append(g.lines, line)
		}
	}
	return g
}

// mountPoint finds the file system in the runtime's mount namespace.
func mountPoint() (string, error) {
	info, err := file.Read("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	for _, m := range mountinfo.Parse(info, "resctrl") {
		return m.Point, nil
	}
	return "", ErrNotMounted
}

// Create makes the group as the configuration wants it: one of the container's
// own, or with a closID one that is shared, which is made if it is missing and
// otherwise must be as the configuration says. What a failing Create made, it
// removes.
func (g *Group) Create() (err error) {
	made := ""
	defer func() {
		if err != nil && made != "" {
			_ = unix.Rmdir(made)
		}
	}()
	err = unix.Mkdir(g.dir, 0o755)
	switch {
	case err == nil:
		made = g.dir
		if !g.own && len(g.lines) == 0 {
			return failed("linux.intelRdt.closID", errors.New(g.dir+" does not exist: make and configure it first, or say how in linux.intelRdt.schemata"))
		}
		err = g.writeSchemata(g.lines)
	case err != unix.EEXIST:
		return g.refused("linux.intelRdt", "make "+g.dir, err)
	case g.own:
		return failed("linux.intelRdt", errors.New(g.dir+" exists already: remove it, or name it in linux.intelRdt.closID"))
	default:
		err = g.compareSchemata()
	}
	if err == nil && g.monitor != "" {
		if e := unix.Mkdir(g.monitor, 0o755); e != nil {
			err = g.refused("linux.intelRdt.enableMonitoring", "make "+g.monitor, e)
		}
	}
	return err
}

// Open opens the files into which a new process of the container writes "0",
// which moves itself. The caller closes them.
func (g *Group) Open() (tasks []int, err error) {
	for _, dir := range [...]string{g.dir, g.monitor} {
		if dir == "" {
			continue
		}
		fd, err := unix.Open(dir+"/tasks", unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
		if err != nil {
			for _, fd := range tasks {
				unix.Close(fd)
			}
			return nil, failed("linux.intelRdt", errors.New("open "+dir+"/tasks: "+err.Error()))
		}
		tasks = append(tasks, fd)
	}
	return tasks, nil
}

// Update writes other lines of schemata.
func (g *Group) Update(lines []string) error { return g.writeSchemata(lines) }

// Remove removes what is the container's alone. What does not exist is no
// error.
func (g *Group) Remove() error {
	dir := g.monitor
	if g.own {
		dir = g.dir // with its monitoring groups
	}
	if dir == "" {
		return nil
	}
	if err := unix.Rmdir(dir); err != nil && err != unix.ENOENT {
		return failed("linux.intelRdt", errors.New("remove "+dir+": "+err.Error()))
	}
	return nil
}

func failed(pointer string, err error) error { return &spec.Error{Pointer: pointer, Err: err} }

// refused adds what the kernel says of the last command.
func (g *Group) refused(pointer, what string, err error) error {
	text := what + ": " + err.Error()
	if status, e := file.Read(g.root + "/info/last_cmd_status"); e == nil {
		if status = strings.TrimSpace(status); status != "" && status != "ok" {
			text += " (" + status + ")"
		}
	}
	return failed(pointer, errors.New(text))
}
