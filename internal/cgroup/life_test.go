package cgroup

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// TestMain lets the test binary be the process inside a cgroup: it enters by
// the descriptors that it is given and then sleeps, or tries devices.
func TestMain(m *testing.M) {
	if os.Getenv("CGROUP_TEST_CHILD") != "" {
		child()
	}
	os.Exit(m.Run())
}

// child enters the version 1 hierarchies and does what its arguments say. A
// write to tasks moves one thread.
func child() {
	runtime.LockOSThread()
	tasks, _ := strconv.Atoi(os.Getenv("CGROUP_TEST_CHILD"))
	for fd := 3; fd < 3+tasks; fd++ {
		if _, err := unix.Write(fd, []byte("0")); err != nil {
			os.Stdout.WriteString("join: " + err.Error() + "\n")
			os.Exit(1)
		}
		unix.Close(fd)
	}
	for _, arg := range os.Args[1:] {
		os.Stdout.WriteString(act(arg) + "\n")
	}
	os.Exit(0)
}

// act does one thing that a container's process could: "sleep", "read PATH",
// "mknod PATH c MAJOR MINOR".
func act(arg string) string {
	words := strings.Fields(arg)
	switch words[0] {
	case "ready":
		return "ready"
	case "sleep":
		time.Sleep(time.Minute)
	case "eat":
		n, _ := strconv.Atoi(words[1])
		for b := make([]byte, n); n > 0; n -= 4096 {
			b[n-1] = 1
		}
	case "forks":
		self, err := os.Executable()
		if err != nil {
			return err.Error()
		}
		for {
			os.StartProcess(self, []string{self, "forks"}, &os.ProcAttr{Env: []string{"CGROUP_TEST_CHILD=none"}})
		}
	case "create":
		g, err := Resolve("/ostia-test-user", "id")
		if err == nil {
			err = g.Create(nil)
		}
		if errors.Is(err, ErrNotPermitted) {
			return "not permitted"
		}
		g.Remove()
		return "became " + fmt.Sprint(err)
	case "open":
		flags, _ := strconv.Atoi(words[2])
		fd, err := unix.Open(words[1], flags|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		if err != nil {
			return err.Error()
		}
		unix.Close(fd)
	case "mknod":
		mode := uint32(unix.S_IFCHR)
		if words[2] == "b" {
			mode = unix.S_IFBLK
		}
		major, _ := strconv.Atoi(words[3])
		minor, _ := strconv.Atoi(words[4])
		if err := unix.Mknod(words[1], mode|0o600, int(unix.Mkdev(uint32(major), uint32(minor)))); err != nil {
			return err.Error()
		}
	}
	return "ok"
}

// start runs the child in the cgroup.
func start(t *testing.T, g *Group, args ...string) *exec.Cmd {
	t.Helper()
	cmd := command(t, g, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Kill(unix.SIGKILL); cmd.Wait() })
	var line [64]byte
	if n, err := out.Read(line[:]); err != nil || string(line[:n]) != "ready\n" {
		t.Fatalf("child said %q, %v", line[:n], err)
	}
	return cmd
}

func command(t *testing.T, g *Group, args ...string) *exec.Cmd {
	t.Helper()
	dir, tasks, err := g.Open()
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "CGROUP_TEST_CHILD="+strconv.Itoa(len(tasks)))
	if len(tasks) == 0 {
		cmd.Env[len(cmd.Env)-1] = "CGROUP_TEST_CHILD=none"
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: dir >= 0, CgroupFD: dir}
	for _, fd := range tasks {
		cmd.ExtraFiles = append(cmd.ExtraFiles, os.NewFile(uintptr(fd), "tasks"))
	}
	t.Cleanup(func() {
		unix.Close(dir)
		for _, f := range cmd.ExtraFiles {
			f.Close()
		}
	})
	return cmd
}

// resolve is a cgroup for the test, removed at its end.
func resolve(t *testing.T, path string) *Group {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	name := "ostia-test-" + strconv.Itoa(os.Getpid())
	g, err := Resolve("/"+name+"/"+path, "id")
	if err != nil {
		t.Fatal(err)
	}
	top, err := Resolve("/"+name, "id")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := top.Kill(unix.SIGKILL); err != nil {
			t.Error(err)
		}
		if err := top.Remove(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func create(t *testing.T, path string, r *spec.Resources) *Group {
	t.Helper()
	g := resolve(t, path)
	if err := g.Create(r); err != nil {
		t.Fatal(err)
	}
	return g
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// isV2 reports which version the host, or the private mount, has.
func isV2(t *testing.T) bool {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(root, &st); err != nil {
		t.Skip("no cgroup file system")
	}
	return st.Type == unix.CGROUP2_SUPER_MAGIC
}

func TestLife(t *testing.T) {
	g := create(t, "a/b", nil)
	for i := range g.Dirs {
		if !exists(g.Dirs[i].Path) {
			t.Errorf("%s was not made", g.Dirs[i].Path)
		}
	}
	if pids, err := g.Processes(); err != nil || len(pids) != 0 {
		t.Fatalf("an empty cgroup has %v, %v", pids, err)
	}
	cmd := start(t, g, "ready", "sleep")
	pid := cmd.Process.Pid
	memberships, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for i := range g.Dirs {
		d := &g.Dirs[i]
		if !strings.Contains(string(memberships), ":"+d.Controllers+":"+strings.TrimPrefix(d.Path, d.Mount)+"\n") {
			t.Errorf("the process is not in %s:\n%s", d.Path, memberships)
		}
	}
	if pids, err := g.Processes(); err != nil || !slices.Equal(pids, []int{pid}) {
		t.Errorf("processes are %v, %v, not %d", pids, err, pid)
	}
	if err := g.Create(nil); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("a cgroup with a process was used: %v", err)
	}
	if err := g.Kill(unix.SIGKILL); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the process ended with %v", err)
	}
	if err := g.Create(nil); err != nil {
		t.Errorf("an empty cgroup was not used again: %v", err)
	}
	if err := g.Remove(); err != nil {
		t.Error(err)
	}
	for i := range g.Dirs {
		if exists(g.Dirs[i].Path) || !exists(filepath.Dir(g.Dirs[i].Path)) {
			t.Errorf("%s: removed too little or too much", g.Dirs[i].Path)
		}
	}
	if err := g.Remove(); err != nil {
		t.Errorf("removing twice: %v", err)
	}
	if err := g.Kill(unix.SIGKILL); err != nil {
		t.Errorf("killing what is gone: %v", err)
	}
	if pids, err := g.Processes(); err != nil || len(pids) != 0 {
		t.Errorf("processes of what is gone: %v, %v", pids, err)
	}
}

func TestFreeze(t *testing.T) {
	g := create(t, "", nil)
	cmd := start(t, g, "ready", "sleep")
	if frozen, err := g.Frozen(); frozen || err != nil {
		t.Errorf("frozen at first: %v, %v", frozen, err)
	}
	if err := g.Freeze(); err != nil {
		t.Fatal(err)
	}
	if frozen, err := g.Frozen(); !frozen || err != nil {
		t.Errorf("not frozen: %v, %v", frozen, err)
	}
	// A signal does not thaw, and is there when the process goes on.
	if err := g.Kill(unix.SIGTERM); err != nil {
		t.Error(err)
	}
	if frozen, err := g.Frozen(); !frozen || err != nil {
		t.Errorf("thawed by a signal: %v, %v", frozen, err)
	}
	if err := g.Thaw(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "terminated") {
		t.Errorf("the process ended with %v", err)
	}
}

func TestKillFrozen(t *testing.T) {
	g := create(t, "", nil)
	cmd := start(t, g, "ready", "sleep")
	if err := g.Freeze(); err != nil {
		t.Fatal(err)
	}
	if err := g.Kill(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the process ended with %v", err)
	}
}

func TestSub(t *testing.T) {
	g := create(t, "box", nil)
	sub, err := g.Sub("/inner/")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := sub.Open(); !errors.Is(err, unix.ENOENT) {
		t.Errorf("a cgroup that does not exist was opened: %v", err)
	}
	for i := range sub.Dirs {
		if sub.Dirs[i].Path != g.Dirs[i].Path+"/inner" {
			t.Fatalf("sub is %s", sub.Dirs[i].Path)
		}
		if err := os.Mkdir(sub.Dirs[i].Path, 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(sub.Dirs[i].Controllers, "cpuset") {
			for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
				text, _ := os.ReadFile(g.Dirs[i].Path + "/" + file)
				if err := os.WriteFile(sub.Dirs[i].Path+"/"+file, text, 0); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	cmd := start(t, sub, "ready", "sleep")
	if pids, err := g.Processes(); err != nil || !slices.Equal(pids, []int{cmd.Process.Pid}) {
		t.Errorf("the process below is not found: %v, %v", pids, err)
	}
	if _, err := g.Sub("../x"); err == nil {
		t.Error("a path led out")
	}
	if g.V2 {
		if _, err := g.Sub("memory:x"); err == nil {
			t.Error("a controller was accepted on version 2")
		}
	} else {
		one, err := g.Sub("memory,pids:x")
		if err != nil {
			t.Fatal(err)
		}
		for i := range one.Dirs {
			c := one.Dirs[i].Controllers
			if changed := one.Dirs[i].Path != g.Dirs[i].Path; changed != (c == "memory" || c == "pids") {
				t.Errorf("%s: %s", c, one.Dirs[i].Path)
			}
		}
	}
	if err := g.Kill(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if err := g.Remove(); err != nil {
		t.Errorf("with a cgroup below: %v", err)
	}
}

func TestRootIsRefused(t *testing.T) {
	for _, d := range []Dir{
		{Mount: root, Path: root},
		{Mount: root, Path: root + "/"},
		{Mount: root, Path: root + "/a/../.."},
		{Mount: root, Path: "/etc"},
		{Path: "/etc"},
		{},
	} {
		g := &Group{V2: true, Dirs: []Dir{d}}
		if g.Kill(unix.SIGKILL) == nil || g.Freeze() == nil || g.Remove() == nil || g.Create(nil) == nil {
			t.Errorf("%+v was used", d)
		}
	}
	for _, path := range []string{"/", "//", "/..", "..", "."} {
		if g, err := Resolve(path, "id"); err == nil {
			t.Errorf("%q became %+v", path, g)
		}
	}
}

func TestNotPermitted(t *testing.T) {
	for _, e := range []error{unix.EACCES, unix.EPERM, unix.EROFS} {
		if !errors.Is(&Error{"make", "/x", e}, ErrNotPermitted) {
			t.Errorf("%v is not ErrNotPermitted", e)
		}
	}
	if errors.Is(&Error{"make", "/x", unix.ENOENT}, ErrNotPermitted) {
		t.Error("ENOENT is ErrNotPermitted")
	}
}
