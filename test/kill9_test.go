package test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var everyCall = flag.Bool("all", false, "TestKilledAnywhere: kill at every system call of every command, not at a sample")

// TestKilledAnywhere states that a runtime killed at any moment leaves a state
// that `delete --force` cleans up by. Each command is traced once to learn its
// system calls and those of the stage. Then it is done again and again, killed
// at one of them each time: at every one of create, start, run, exec and delete
// where cgroups are version 2, else at a sample, in the guest of few commands.
func TestKilledAnywhere(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	runtime := runtimePath(t)
	if underReaper(t) {
		return
	}
	guest := os.Getenv("OSTIA_GUEST") != ""
	most := 14
	if guest {
		most = 3 // ten times slower there
	}
	for _, c := range []struct {
		name    string
		config  map[string]any // pointer to value
		before  [][]string     // commands that bring the container where the traced one finds it
		command []string
		every   bool   // at every call, not at a sample
		guest   bool   // in the guest too
		lives   bool   // the container must be running afterwards
		starts  bool   // it must be running afterwards, or be there to be started
		needs   string // a cgroup controller
	}{
		{name: "create", every: true, guest: true, command: words("create -b BUNDLE ID")},
		{name: "start", before: [][]string{words("create -b BUNDLE ID")}, command: words("start ID"), every: true, starts: true},
		{name: "run", every: true, guest: true, command: words("run -b BUNDLE ID"), config: map[string]any{"/process/args": words("true")}},
		{name: "run-detach", command: words("run -d -b BUNDLE ID")},
		{name: "run-hooks", command: words("run -b BUNDLE ID"), config: map[string]any{"/process/args": words("true"), "/hooks": hooks()}},
		{name: "run-host-pid", command: words("run -d -b BUNDLE ID"), config: map[string]any{"/linux/namespaces": namespaces("mount", "ipc", "uts", "network")}},
		{name: "run-user", command: words("run -d -b BUNDLE ID"), config: userNamespace()},
		{name: "run-joined-pid", command: words("run -d -b BUNDLE ID"), config: map[string]any{"/linux/namespaces/0/path": "/proc/self/ns/pid"}},
		// Without a cgroup only the pid file and the stage itself can tell what lives.
		{name: "run-no-cgroup", command: words("--cgroup-manager disabled run -d -b BUNDLE ID")},
		{name: "create-no-cgroup", command: words("--cgroup-manager disabled create -b BUNDLE ID")},
		{name: "run-user-no-cgroup", command: words("--cgroup-manager disabled run -d -b BUNDLE ID"), config: userNamespace()},
		{name: "run-joined-no-cgroup", command: words("--cgroup-manager disabled run -d -b BUNDLE ID"), config: map[string]any{"/linux/namespaces/0/path": "/proc/self/ns/pid"}},
		{name: "exec", every: true, guest: true, before: [][]string{words("run -d -b BUNDLE ID")}, command: words("exec ID true"), lives: true},
		{name: "exec-user", before: [][]string{words("run -d -b BUNDLE ID")}, command: words("exec ID true"), lives: true, config: userNamespace()},
		{name: "pause", before: [][]string{words("run -d -b BUNDLE ID")}, command: words("pause ID")},
		{name: "resume", before: [][]string{words("run -d -b BUNDLE ID"), words("pause ID")}, command: words("resume ID")},
		{name: "update", guest: true, before: [][]string{words("run -d -b BUNDLE ID")}, command: words("update --cpu-share 512 ID"), lives: true, needs: "cpu"},
		{name: "kill", before: [][]string{words("run -d -b BUNDLE ID")}, command: words("kill ID KILL")},
		{name: "delete-created", every: true, before: [][]string{words("create -b BUNDLE ID")}, command: words("delete ID")},
		{name: "delete-running", every: true, guest: true, before: [][]string{words("run -d -b BUNDLE ID")}, command: words("delete --force ID")},
		{name: "delete-paused", before: [][]string{words("run -d -b BUNDLE ID"), words("pause ID")}, command: words("delete --force ID")},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.needs != "" && !controller(c.needs) {
				t.Skip("no cgroup controller " + c.needs)
			}
			if guest && !c.guest && !*everyCall {
				t.Skip("not in the guest, which is slow")
			}
			most := most
			if *everyCall || c.every && cgroup2() && !guest {
				most = 1 << 16 // all
			}
			b := newBench(t, runtime, c.name)
			b.bundle(t, c.config)
			prepare := func() {
				for _, words := range c.before {
					if out, err := b.ostia(words...); err != nil {
						t.Fatalf("%v: %v\n%s", words, err, out)
					}
				}
			}
			prepare()
			all := b.trace(t, c.command, nil)
			if all.status != 0 {
				t.Fatalf("%v: exit status %d\n%s", c.command, all.status, all.output)
			}
			b.clean(t, "not killed")
			kills := 0
			for _, at := range all.moments(most) {
				prepare()
				before := b.pid()
				got := b.trace(t, c.command, &at)
				if got.killed {
					kills++
				}
				if c.lives && (b.pid() != before || before == 0) {
					t.Errorf("%v: the container has pid %d, had %d", at, b.pid(), before)
				}
				if c.starts {
					b.startAgain(t, at.String())
				}
				if out, err := b.ostia("list"); err != nil {
					t.Errorf("%v: list: %v\n%s", at, err, out)
				}
				b.clean(t, at.String())
				if t.Failed() {
					return
				}
			}
			t.Logf("%d system calls of the runtime, %d of the stage: killed at %d", len(all.runtime), len(all.stage), kills)
			if kills == 0 {
				t.Error("nothing was killed")
			}
		})
	}
}

// startAgain starts a container whose start was killed, unless it runs, and
// requires that it executes its entry point.
func (b *bench) startAgain(t *testing.T, when string) {
	t.Helper()
	out, err := b.ostia("start", "ID")
	if err != nil && !strings.Contains(out, "(it is running)") {
		t.Errorf("%s: start once more: %v\n%s", when, err, out)
	}
	exe := "/proc/" + strconv.Itoa(b.pid()) + "/exe"
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		program, err := os.Readlink(exe)
		if strings.HasSuffix(program, "/bin/busybox") {
			return
		}
		if err != nil || time.Now().After(end) {
			t.Fatalf("%s: the first process is %q: %v\nstart once more said: %s", when, program, err, out)
		}
	}
}

func words(s string) []string { return strings.Fields(s) }

func namespaces(types ...string) []any {
	var list []any
	for _, name := range types {
		list = append(list, map[string]any{"type": name})
	}
	return list
}

func hooks() map[string]any {
	hook := []any{map[string]any{"path": "/bin/true"}}
	return map[string]any{
		"createRuntime": hook, "poststart": hook, "poststop": hook,
		"createContainer": hook, "startContainer": hook,
	}
}

func userNamespace() map[string]any {
	ids := []any{map[string]any{"containerID": 0, "hostID": rootlessFirst, "size": rootlessCount}}
	return map[string]any{
		"/linux/namespaces/-": map[string]any{"type": "user"},
		"/linux/uidMappings":  ids, "/linux/gidMappings": ids,
	}
}

// bench is a folder with a bundle and a state folder, and the one container
// that is made from it again and again.
type bench struct {
	runtime, dir, root, id string

	by []string // a program and its arguments that runs the runtime; nil for none
}

// testID begins the ids of a test process's containers.
func testID(pid string) string { return "ostia-test-" + pid + "-" }

func newBench(t *testing.T, runtime, name string) *bench {
	dir, err := os.MkdirTemp("", "ostia-test-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir+"/state", 0o711); err != nil {
		t.Fatal(err)
	}
	pid := os.Getenv(aloneFor)
	if pid == "" {
		pid = strconv.Itoa(os.Getpid())
	}
	b := &bench{runtime: runtime, dir: dir, root: dir + "/state", id: testID(pid) + name}
	t.Cleanup(func() {
		if found := leftovers(b.dir, b.root, b.id); len(found) > 0 {
			sweep(b.runtime, b.dir, b.root, b.id)
		}
		os.RemoveAll(dir)
	})
	return b
}

// bundle makes the bundle of a container that sleeps, with some fields of its
// configuration set.
func (b *bench) bundle(t *testing.T, config map[string]any) {
	t.Helper()
	busybox := os.Getenv("BUSYBOX")
	if busybox == "" {
		busybox = "busybox"
	}
	const script = `mkdir -p "$1/rootfs"; cd "$1/rootfs"; mkdir bin dev proc sys tmp
cp "$(command -v "$2")" bin/busybox; for name in sh sleep true; do ln -s busybox "bin/$name"; done
cd ..; "$3" spec`
	if out, err := exec.Command("sh", "-ec", script, "sh", b.dir+"/bundle", busybox, b.runtime).CombinedOutput(); err != nil {
		t.Fatalf("bundle: %v\n%s", err, out)
	}
	all := map[string]any{"/process/terminal": false, "/process/args": words("sleep 1000")}
	maps.Copy(all, config)
	b.configure(t, b.dir+"/bundle/config.json", all)
}

// configure writes the bundle's configuration to path with some fields set.
func (b *bench) configure(t *testing.T, path string, config map[string]any) {
	t.Helper()
	data, err := os.ReadFile(b.dir + "/bundle/config.json")
	if err != nil {
		t.Fatal(err)
	}
	doc := parsed(string(data))
	for pointer, value := range config {
		if doc, err = set(doc, strings.Split(pointer, "/")[1:], value); err != nil {
			t.Fatalf("%s: %v", pointer, err)
		}
	}
	if data, err = json.Marshal(doc); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) argv(words []string) []string {
	argv := []string{b.runtime, "--root", b.root}
	for _, w := range words {
		switch w {
		case "ID":
			w = b.id
		case "BUNDLE":
			w = b.dir + "/bundle"
		}
		argv = append(argv, w)
	}
	return argv
}

// ostia runs a command to its end, with its output in a file: a container that
// lives on would keep a pipe open.
func (b *bench) ostia(words ...string) (string, error) {
	out, err := os.CreateTemp(b.dir, ".out-")
	if err != nil {
		return "", err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	argv := slices.Concat([]string{"timeout", "30"}, b.by, b.argv(words))
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	text, _ := os.ReadFile(out.Name())
	return string(text), err
}

// pid is that of the container's first process, 0 for none.
func (b *bench) pid() int {
	out, err := b.ostia("state", "ID")
	var state struct{ Pid int }
	if err != nil || json.Unmarshal([]byte(out), &state) != nil {
		return 0
	}
	return state.Pid
}

// clean has the container deleted by force and requires that nothing is left.
func (b *bench) clean(t *testing.T, when string) {
	t.Helper()
	before, _ := exec.Command("sh", "-c", `cd "$0" && ls -R && head -v -c 300 */state.json */pid`, b.root).CombinedOutput()
	if out, err := b.ostia("delete", "--force", "ID"); err != nil {
		t.Errorf("%s: delete --force: %v\n%sthe state was:\n%s", when, err, out, before)
	}
	found := leftovers(b.dir, b.root, b.id)
	hidden, _ := filepath.Glob(b.root + "/.*")
	for _, path := range hidden {
		if filepath.Base(path) != ".failed" { // what explain says is kept
			found = append(found, path)
		}
	}
	if len(found) > 0 {
		t.Errorf("%s: left behind:\n\t%s\nthe state was:\n%s", when, strings.Join(found, "\n\t"), before)
	}
}

// moment is a system call at which somebody is killed, before it is done.
type moment struct {
	ofStage bool // it is a call of the stage, else of the runtime
	n       int  // the n-th of its calls
	nr      int  // as it was when nobody was killed
	stage   bool // the stage is killed, else the runtime
}

func (m moment) String() string {
	name := [...]string{"runtime", "stage"}
	of, who := 0, 0
	if m.ofStage {
		of = 1
	}
	if m.stage {
		who = 1
	}
	return fmt.Sprintf("%s killed at call %d (number %d) of the %s", name[who], m.n, m.nr, name[of])
}

// traced is what a traced command did.
type traced struct {
	runtime, stage []int // numbers of the system calls
	killed         bool
	status         int
	output         string
}

// moments are those at which to kill: at most so many of each third, evenly
// apart: the runtime at its own calls, the runtime at the stage's, the stage at
// its own.
func (c *traced) moments(most int) []moment {
	var list []moment
	sample := func(calls []int, ofStage, stage bool) {
		step := 1 + len(calls)/most
		for n := step - 1; n < len(calls); n += step {
			list = append(list, moment{ofStage: ofStage, n: n, nr: calls[n], stage: stage})
		}
	}
	sample(c.runtime, false, false)
	sample(c.stage, true, false)
	sample(c.stage, true, true)
	return list
}

// trace runs a command and kills at a moment, if one is given.
func (b *bench) trace(t *testing.T, words []string, at *moment) *traced {
	t.Helper()
	out, err := os.CreateTemp(b.dir, ".out-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(out.Name())
	defer out.Close()
	tr := &tracer{argv: b.argv(words), out: out, at: at, threads: map[int]*thread{}, execs: map[int]int{}}
	done := make(chan error)
	go func() { done <- tr.run() }()
	if err := <-done; err != nil {
		t.Fatalf("trace: %v", err)
	}
	text, _ := os.ReadFile(out.Name())
	tr.result.output = string(bytes.TrimSpace(text))
	if tr.late {
		t.Errorf("%v: still running after 20 s: %s", at, text)
	}
	return &tr.result
}
