// Package engines states what the users of podman, Docker and containerd see
// when ostia is the runtime. The engines are Debian's, unpacked by test/deps;
// each is started here, in a room of its own, and every file in scripts is a
// statement about it. It needs root.
package engines

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var scripts = flag.String("scripts", "", "run only the scripts whose names hold this")

func TestMain(m *testing.M) {
	if os.Getenv(roomVariable) == "inside" || filepath.Base(os.Args[0]) == "interminal" {
		testscript.Main(m, map[string]func(){"interminal": interminal})
	}
	flag.Parse()
	var status int
	var err error
	switch place := os.Getenv(roomVariable); {
	case os.Getuid() != 0:
		fmt.Println("engines: needs root")
	case place == "":
		status, err = enterRoom()
	default:
		runtime.LockOSThread() // its namespaces are inherited
		status, err = arrangeRoom(place)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "engines:", err)
		status = 1
	}
	os.Exit(status)
}

// shared is what every engine's tests need.
type shared struct {
	runtime string // a copy of ostia that every user may execute
	image   string // an archive of images
}

// prepare makes what the engines share, once a room.
func prepare(t *testing.T) shared {
	t.Helper()
	s := shared{runtime: roomDir + "/ostia", image: roomDir + "/image.tar"}
	if _, err := os.Stat(s.image); err == nil {
		return s
	}
	path := os.Getenv("RUNTIME")
	if path == "" {
		path = "../../ostia"
	}
	for _, part := range []string{"", "-criu"} { // ostia executes ostia-criu, which lies beside it
		program, err := os.ReadFile(path + part)
		if part != "" && *suite != "" && os.IsNotExist(err) {
			continue // another runtime
		}
		check(t, err)
		check(t, os.WriteFile(s.runtime+part, program, 0o755))
	}
	busybox := os.Getenv("BUSYBOX")
	if busybox == "" {
		var err error
		busybox, err = exec.LookPath("busybox")
		check(t, err)
	}
	check(t, writeImages(s.image, busybox))
	return s
}

// run runs the scripts of an engine. env is what they find besides $ID, a
// name that no other script uses.
func (s shared) run(t *testing.T, engine string, env ...string) {
	all, err := filepath.Glob("scripts/" + engine + "-*.txtar")
	check(t, err)
	var files []string
	for _, f := range all {
		if strings.Contains(f, *scripts) && (!testing.Short() || strings.HasSuffix(f, "-smoke.txtar")) {
			files = append(files, f)
		}
	}
	if len(files) == 0 {
		t.Skip("no script of that name")
	}
	dir, err := os.MkdirTemp("", engine)
	check(t, err)
	check(t, os.Chmod(dir, 0o755))
	testscript.Run(t, testscript.Params{
		Files:               files,
		WorkdirRoot:         dir,
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("ID", strings.TrimSuffix(strings.TrimPrefix(filepath.Base(e.WorkDir), "script-"), ".txtar")+"-test")
			e.Setenv("IMAGE", imageName)
			e.Setenv("RUNTIME", s.runtime)
			e.Setenv("BUSYBOX", os.Getenv("BUSYBOX"))
			e.Setenv("HOME", e.WorkDir)
			for _, kv := range env {
				name, value, _ := strings.Cut(kv, "=")
				e.Setenv(name, value)
			}
			return nil
		},
		Condition: condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": status,
			"until":  until,
		},
	})
}

// status N PROGRAM ARG... runs a program and requires its exit status.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N PROGRAM ARG...")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Check(err)
		}
		got = exit.ExitCode()
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit status %d, want %s", got, args[0])
	}
}

// until PATTERN PROGRAM [ARG...] runs a program again and again, for at most
// three minutes, until its output matches: a machine in an emulated host boots.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: [!] until PATTERN PROGRAM [ARG...]")
	}
	pattern := regexp.MustCompile(`(?m)` + args[0])
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); {
		began := time.Now()
		ts.Exec(args[1], args[2:]...)
		if pattern.MatchString(ts.ReadFile("stdout")+ts.ReadFile("stderr")) != neg {
			return
		}
		// What is waited for may need the processor that asking takes.
		time.Sleep(max(100*time.Millisecond, 3*time.Since(began)))
	}
	ts.Fatalf("after three minutes still not as wanted")
}

// condition answers a script's [condition]: cgroup2, whether /sys/fs/cgroup is
// cgroup v2; criu, whether CRIU works here; guest, whether this is the guest.
func condition(name string) (bool, error) {
	switch name {
	case "cgroup2":
		_, err := os.Stat("/sys/fs/cgroup/cgroup.procs")
		return err == nil, nil
	case "criu":
		return exec.Command(filepath.Join(criuFolder(), "criu"), "check").Run() == nil, nil
	case "guest":
		return os.Getenv("OSTIA_GUEST") != "", nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

// criuFolder is where test/deps puts CRIU, which is not installed.
func criuFolder() string { return filepath.Join(os.Getenv("OSTIA_CACHE"), "criu/usr/sbin") }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
