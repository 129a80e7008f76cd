// Package test states how ostia behaves on real containers. Every file in
// scripts is a statement: it makes bundles, runs the runtime that RUNTIME
// names and says what must be seen. It needs root. Those in systemd are about
// hosts that systemd has booted.
//
// The same binary runs on this machine, on this machine with a private
// cgroup2 (test/private-cgroup2) and in the guest (test/guest); the Makefile
// does all three.
package test

import (
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	if os.Getenv("LIKE_KERNEL") == kernel514 {
		if err := likeKernel514(); err != nil {
			fail(err)
		}
	}
	testscript.Main(m, map[string]func(){
		"recvtty":  recvtty,
		"recvfd":   recvfd,
		"manager":  manager,
		"activate": activate,
		"notify":   notify,
		"without":  without,
		"agent":    agent,
	})
}

var scripts = flag.String("scripts", "", "run only the scripts whose names hold this")

func TestBehaviour(t *testing.T) { run(t, "scripts") }

// TestSystemd is TestBehaviour for what needs systemd as the host's init.
func TestSystemd(t *testing.T) {
	if !fileExists("/run/systemd/system") { // sd_booted(3)
		t.Skip("needs a host that systemd has booted: make guest-systemd")
	}
	run(t, "systemd")
}

// run runs the scripts of a folder.
func run(t *testing.T, folder string) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	runtime := runtimePath(t)
	all, err := filepath.Glob(folder + "/*.txtar")
	if err != nil || len(all) == 0 {
		t.Fatal("no scripts: run me in the folder test")
	}
	var files []string
	for _, f := range all {
		if strings.Contains(f, *scripts) {
			files = append(files, f)
		}
	}
	// Not t.TempDir: an unprivileged user must be able to pass through.
	dir, err := os.MkdirTemp("", "ostia-test-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	// A copy, because an ordinary user may not reach the checkout.
	copied := filepath.Join(dir, "ostia")
	for from, to := range map[string]string{runtime: copied, filepath.Join(filepath.Dir(runtime), "ostia-criu"): copied + "-criu"} {
		program, err := os.ReadFile(from)
		if err != nil && from != runtime && os.IsNotExist(err) {
			continue // another runtime
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, program, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	testscript.Run(t, testscript.Params{
		Files:               files,
		WorkdirRoot:         dir,
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup:               func(e *testscript.Env) error { return setup(e, copied) },
		Condition:           condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"bundle":   bundle,
			"config":   config,
			"json":     jsonValue,
			"ostia":    ostia,
			"rootless": rootless,
			"status":   status,
			"until":    until,
			"user":     user,
		},
	})
}

// runtimePath is the runtime under test: RUNTIME, or what make has built.
func runtimePath(t *testing.T) string {
	path := os.Getenv("RUNTIME")
	if path == "" {
		path = "../ostia"
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no runtime to test: %v (run make, or set RUNTIME)", err)
	}
	return path
}

// setup gives a script an `ostia` on its PATH with a state folder of its own,
// and $ID, a container id that no other script uses. Ids of further containers
// begin with $ID.
func setup(e *testscript.Env, runtime string) error {
	name := strings.TrimPrefix(filepath.Base(e.WorkDir), "script-")
	// The end keeps one script's id from being the beginning of another's.
	id := "ostia-test-" + strconv.Itoa(os.Getpid()) + "-" + name + "_"
	root := filepath.Join(e.WorkDir, ".state")
	bin := filepath.Join(e.WorkDir, ".bin")
	for _, dir := range []string{root, bin} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	wrapper := "#!/bin/sh\nexec " + runtime + " --root " + root + " \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "ostia"), []byte(wrapper), 0o755); err != nil {
		return err
	}
	e.Setenv("PATH", bin+":"+e.Getenv("PATH")+":"+criuFolder())
	e.Setenv("ID", id)
	e.Setenv("ROOT", root)
	e.Setenv("RUNTIME", runtime)
	completions, err := filepath.Abs("../completions")
	if err != nil {
		return err
	}
	e.Setenv("COMPLETIONS", completions)
	e.Setenv("CACHE", os.Getenv("OSTIA_CACHE"))
	e.Setenv("HOME", e.WorkDir)
	e.Defer(func() {
		// Deferred functions run last first: background commands are gone by now.
		found := leftovers(e.WorkDir, root, id)
		if len(found) == 0 {
			return
		}
		sweep(runtime, e.WorkDir, root, id)
		e.T().Log("left behind:\n\t" + strings.Join(found, "\n\t"))
		e.T().FailNow()
	})
	return nil
}
