package engines

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A room is where engines live: namespaces and cgroups of their own, so that
// they can change what they call the machine, and one kill ends them all.
//
// This process makes the cgroups and executes itself as the room's first
// process, which arranges the inside and then runs the tests, reaping what
// engines leave to it. Nothing of it remains when this process ends.

const (
	roomVariable = "OSTIA_ENGINES_ROOM" // which of the room's processes this is
	roomDir      = "/run/engines"       // scratch inside: short, for the sockets in it
	networkDir   = "/var/lib/cni"       // where network plugins note addresses, whatever an engine's files are
)

// enterRoom runs this test binary inside a new room and returns its exit
// status.
func enterRoom() (status int, err error) {
	dir, err := os.MkdirTemp("", "ostia-engines-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return 0, err
	}
	if os.Mkdir(networkDir, 0o700) == nil { // to mount on
		defer os.Remove(networkDir)
	}
	trees, err := hierarchies()
	if err != nil {
		return 0, err
	}
	name := filepath.Base(dir)
	for i := range trees {
		trees[i].group = filepath.Join(trees[i].mountPoint, trees[i].own, name)
		if err := trees[i].make(); err != nil {
			return 0, errors.Join(err, removeGroups(trees[:i+1]))
		}
	}
	defer func() { err = errors.Join(err, removeGroups(trees)) }()

	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), roomVariable+"="+dir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil
	}
	return 0, err
}

// A hierarchy is a mounted cgroup tree and this process's place in it.
type hierarchy struct {
	mountPoint string
	kind       string // cgroup or cgroup2
	options    string // "cpu", "name=systemd"
	own        string // this process's group
	group      string // the room's, as a path on this machine
}

func hierarchies() ([]hierarchy, error) {
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	var trees []hierarchy
	for line := range strings.Lines(string(info)) {
		f := strings.Fields(line)
		n := len(f)
		if n > 4 && f[4] == "/sys/fs/cgroup" {
			trees = nil // hidden below this
		}
		if n < 10 || f[n-3] != "cgroup" && f[n-3] != "cgroup2" || !strings.HasPrefix(f[4], "/sys/fs/cgroup") {
			continue
		}
		t := hierarchy{mountPoint: f[4], kind: f[n-3]}
		if t.kind == "cgroup" {
			t.options = strings.TrimPrefix(f[n-1], "rw,")
		}
		for line := range strings.Lines(string(own)) {
			part := strings.SplitN(strings.TrimSpace(line), ":", 3)
			if part[1] == t.options {
				t.own = part[2]
			}
		}
		trees = append(trees, t)
	}
	if len(trees) == 0 {
		return nil, errors.New("no cgroup hierarchy below /sys/fs/cgroup")
	}
	return trees, nil
}

func (t *hierarchy) make() error {
	if err := os.Mkdir(t.group, 0o755); err != nil {
		return err
	}
	// An engine that runs wild ends here and not with the machine; the cgroup2 of a hybrid may lack the controller.
	limit, err := os.OpenFile(filepath.Join(t.group, "pids.max"), os.O_WRONLY, 0)
	if err == nil {
		_, err = limit.WriteString("2000")
		err = errors.Join(err, limit.Close())
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if t.options != "cpuset" {
		return nil
	}
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} { // empty in a new group, and then nothing may enter
		value, err := os.ReadFile(filepath.Join(filepath.Dir(t.group), name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(t.group, name), value, 0); err != nil {
			return err
		}
	}
	return nil
}

// removeGroups removes the room's groups and whatever was made below them.
func removeGroups(trees []hierarchy) error {
	var left error
	for range 100 { // the kernel takes a moment to let go of killed processes
		left = nil
		for _, t := range trees {
			var below []string
			filepath.WalkDir(t.group, func(path string, d fs.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					below = append(below, path)
				}
				return nil
			})
			for _, path := range slices.Backward(below) {
				if err := os.Remove(path); err != nil {
					left = err
				}
			}
		}
		if left == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return left
}

// arrangeRoom is the room's first process. It runs the tests as its child and
// returns their status.
func arrangeRoom(dir string) (int, error) {
	trees, err := hierarchies()
	if err != nil {
		return 0, err
	}
	for _, t := range trees {
		group := filepath.Join(t.mountPoint, t.own, filepath.Base(dir))
		if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte("0"), 0); err != nil {
			return 0, err
		}
	}
	// A namespace of this thread: main.main is locked to it, and what it starts inherits it.
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return 0, fmt.Errorf("unshare of the cgroup namespace: %w", err)
	}
	if err := arrangeMounts(dir, trees); err != nil {
		return 0, err
	}
	if err := delegate(trees); err != nil {
		return 0, err
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return 0, fmt.Errorf("ip: %w, %s", err, out)
	}
	program, err := os.Executable()
	if err != nil {
		return 0, err
	}
	os.Setenv(roomVariable, "inside")
	os.Setenv("TMPDIR", roomDir)
	os.Unsetenv("XDG_RUNTIME_DIR")
	child, err := syscall.ForkExec(program, os.Args, &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}})
	if err != nil {
		return 0, err
	}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 0, err
		case pid == child && status.Exited():
			return status.ExitStatus(), nil
		case pid == child:
			return 0, fmt.Errorf("the tests ended with %v", status.Signal())
		}
	}
}

// arrangeMounts gives the room its own /proc, /run, terminals and view of the
// cgroups, and nothing that it mounts is seen outside.
func arrangeMounts(dir string, trees []hierarchy) error {
	scratch, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(scratch)
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	// What is mounted below /sys would stay in mountinfo, hidden: podman unmounts what it reads there.
	if err := unix.Unmount("/sys", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount of /sys: %w", err)
	}
	shm := uintptr(syscall.MS_NOSUID | syscall.MS_NODEV)
	type mount struct {
		source, target, kind string
		flags                uintptr
		data                 string
	}
	steps := []mount{
		{"proc", "/proc", "proc", 0, ""},
		{"sysfs", "/sys", "sysfs", 0, ""}, // of the new network namespace
		{"devpts", "/dev/pts", "devpts", 0, "newinstance,gid=5,mode=620,ptmxmode=666"},
		{"/dev/pts/ptmx", "/dev/ptmx", "", syscall.MS_BIND, ""},
		{"shm", "/dev/shm", "tmpfs", shm, "mode=1777"},
		{"run", "/run", "tmpfs", shm, "mode=755"},
		{"/proc/self/fd/" + strconv.Itoa(scratch), roomDir, "", syscall.MS_BIND, ""},
		{unpackedDir(), packagesDir, "", syscall.MS_BIND, ""},
		{"cni", networkDir, "tmpfs", shm, "mode=700"},
	}
	if trees[0].mountPoint != "/sys/fs/cgroup" { // a folder of hierarchies
		steps = append(steps, mount{"tmpfs", "/sys/fs/cgroup", "tmpfs", 0, "mode=755"})
	}
	for _, t := range trees {
		steps = append(steps, mount{t.kind, t.mountPoint, t.kind, 0, t.options})
	}
	for _, s := range steps {
		if strings.HasPrefix(s.target, "/run/") || s.kind != "" {
			if err := os.MkdirAll(s.target, 0o755); err != nil {
				return err
			}
		}
		if err := syscall.Mount(s.source, s.target, s.kind, s.flags, s.data); err != nil {
			return fmt.Errorf("mount of %s: %w", s.target, err)
		}
	}
	return nil
}

// delegate makes the controllers of cgroup v2 available below the room's root.
// That takes a root without processes: everything moves to a leaf.
func delegate(trees []hierarchy) error {
	for _, t := range trees {
		if t.kind != "cgroup2" {
			continue
		}
		leaf := filepath.Join(t.mountPoint, "tests")
		if err := os.Mkdir(leaf, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(leaf, "cgroup.procs"), []byte("0"), 0); err != nil {
			return err
		}
		controllers, err := os.ReadFile(filepath.Join(t.mountPoint, "cgroup.controllers"))
		if err != nil {
			return err
		}
		for name := range bytes.FieldsSeq(controllers) {
			if err := os.WriteFile(filepath.Join(t.mountPoint, "cgroup.subtree_control"), append([]byte("+"), name...), 0); err != nil {
				return fmt.Errorf("controller %s: %w", name, err)
			}
		}
	}
	return nil
}
