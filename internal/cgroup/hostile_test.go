package cgroup

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// TestKillForks ends processes that make others as fast as they can.
func TestKillForks(t *testing.T) {
	g := resolve(t, "bomb")
	r := boundedForks(t, g)
	if err := g.Create(r); err != nil {
		t.Fatal(err)
	}
	cmd := start(t, g, "ready", "forks")
	if err := g.Kill(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if pids, err := g.Processes(); err != nil || len(pids) != 0 {
		t.Errorf("left: %v, %v", pids, err)
	}
	if err := g.Remove(); err != nil {
		t.Error(err)
	}
}

// boundedForks is a limit without which such processes would take the machine:
// one whose test is killed lives on.
func boundedForks(t *testing.T, g *Group) *spec.Resources {
	if !has(g, "pids") {
		t.Skip("no pids controller")
	}
	return &spec.Resources{Pids: &spec.Pids{Limit: of(int64(60))}}
}

// TestFreezeForks freezes them.
func TestFreezeForks(t *testing.T) {
	g := resolve(t, "bomb")
	r := boundedForks(t, g)
	if err := g.Create(r); err != nil {
		t.Fatal(err)
	}
	start(t, g, "ready", "forks")
	if err := g.Freeze(); err != nil {
		t.Fatal(err)
	}
	if frozen, err := g.Frozen(); err != nil || !frozen {
		t.Errorf("frozen %v, %v", frozen, err)
	}
}

// TestOrdinaryUser is refused in a way that its caller can tell.
func TestOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	copy, err := os.CreateTemp("", "cgroup-test")
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(copy.Name())
	copy.Write(self)
	copy.Chmod(0o755)
	copy.Close()
	cmd := exec.Command(copy.Name(), "create")
	cmd.Dir = "/"
	cmd.Env = []string{"CGROUP_TEST_CHILD=none"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4242, Gid: 4242}}
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "not permitted\n" {
		t.Errorf("%s%v", out, err)
	}
}

// TestBusyParent names the cgroup whose processes are in the way.
func TestBusyParent(t *testing.T) {
	parent := create(t, "parent", nil)
	if !parent.V2 || !has(parent, "memory") {
		t.Skip("needs version 2 with memory")
	}
	start(t, parent, "ready", "sleep")
	g, err := parent.Sub("box")
	if err != nil {
		t.Fatal(err)
	}
	err = g.Create(&spec.Resources{Memory: &spec.Memory{Limit: of(int64(1 << 26))}})
	if !isRefused(err) || !strings.Contains(err.Error(), "parent/cgroup.subtree_control and cannot be, because that cgroup has processes") {
		t.Errorf("became %v", err)
	}
	if err := g.Create(nil); err != nil {
		t.Errorf("without a limit: %v", err)
	}
}

// TestThreaded puts a cgroup below threads, where it can be no domain.
func TestThreaded(t *testing.T) {
	parent := create(t, "parent", nil)
	if !parent.V2 {
		t.Skip("version 2")
	}
	threads, err := parent.Sub("threads")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(threads.Dirs[0].Path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(threads.Dirs[0].Path+"/cgroup.type", []byte("threaded"), 0); err != nil {
		t.Fatal(err)
	}
	g, err := threads.Sub("box")
	if err != nil {
		t.Fatal(err)
	}
	err = g.Create(&spec.Resources{Memory: &spec.Memory{Limit: of(int64(1 << 26))}})
	var refused *Error
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "cannot limit memory") {
		t.Errorf("became %v", err)
	}
	if exists(g.Dirs[0].Path) {
		t.Error("a failed create left the cgroup")
	}
}

// TestOOMKills counts.
func TestOOMKills(t *testing.T) {
	g := resolve(t, "box")
	if !has(g, "memory") {
		t.Skip("no memory controller")
	}
	if err := g.Create(&spec.Resources{Memory: &spec.Memory{Limit: of(int64(32 << 20))}}); err != nil {
		t.Fatal(err)
	}
	if n, err := g.OOMKills(); n != 0 || err != nil {
		t.Errorf("at first %d, %v", n, err)
	}
	if out, err := command(t, g, "eat "+strconv.Itoa(128<<20)).CombinedOutput(); err == nil {
		t.Errorf("was not killed: %s", out)
	}
	if n, err := g.OOMKills(); n != 1 || err != nil {
		t.Errorf("then %d, %v", n, err)
	}
}
