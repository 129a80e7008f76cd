//go:build ignore

// Overlay writes what `go build -overlay` replaces of the Go runtime when
// ostia is built by make: `go run toolchain/overlay.go GOROOT DIR` makes
// DIR/overlay.json. If a text to change is not found exactly once, proc.go is
// left as it is: ostia is slower then, and the changes must be looked at again.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// change replaces a text of runtime/proc.go.
type change struct{ from, to string }

// A start of Go's runtime makes two threads that a command of milliseconds has
// no use for, 0.5 ms of an exec: sysmon, and one that runs the garbage
// collector's goroutines for the first time while the main goroutine is locked
// to the main thread. Here a process has one thread until it starts a second
// goroutine. Until then nothing waits for what sysmon does: preempting, and
// taking the processor from a goroutine that a system call blocks, are for
// another goroutine's sake. A garbage collection starts goroutines too.
var changes = []change{
	{`	if haveSysmon {
		systemstack(func() {
			newm(sysmon, nil, -1)
		})
	}
`, ""},
	{"\tlockOSThread()\n\n\tif mp != &m0", "\tif mp != &m0"},
	{`	needUnlock := true
	defer func() {
		if needUnlock {
			unlockOSThread()
		}
	}()
`, ""},
	// The main goroutine's stack would grow four times, from pools that a stack
	// is taken of and the others touched. One of 32 KiB comes from the heap by
	// itself: a tenth of the page faults of an exec less.
	{"\t\tnewg = malg(stackMin)\n", `		if allglen == 0 {
			newg = malg(32 << 10)
		} else {
			newg = malg(stackMin)
		}
`},
	// A package's initialization may have started a goroutine already.
	{"\tneedUnlock = false\n\tunlockOSThread()\n", "\tsysmonDue.Store(1)\n\tif gcount(false) > 1 {\n\t\tstartSysmon()\n\t}\n"},
	{"func newproc(fn *funcval) {\n", "func newproc(fn *funcval) {\n\tif sysmonDue.Load() != 0 {\n\t\tstartSysmon()\n\t}\n"},
	{"// haveSysmon indicates", `// sysmonDue is 1 from the end of the initialization until the first goroutine.
var sysmonDue atomic.Uint32

func startSysmon() {
	if haveSysmon && sysmonDue.CompareAndSwap(1, 0) {
		systemstack(func() { newm(sysmon, nil, -1) })
	}
}

// haveSysmon indicates`},
}

func main() {
	if err := overlay(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "overlay:", err)
		os.Exit(1)
	}
}

func overlay(goroot, dir string) error {
	runtime := filepath.Join(goroot, "src", "runtime")
	cgroup, err := filepath.Abs("toolchain/cgroup_linux.go.txt")
	if err != nil {
		return err
	}
	replace := map[string]string{filepath.Join(runtime, "cgroup_linux.go"): cgroup}
	original := filepath.Join(runtime, "proc.go")
	text, err := changed(original)
	if err != nil {
		fmt.Fprintln(os.Stderr, "overlay: left as it is:", err)
	} else {
		proc, err := filepath.Abs(filepath.Join(dir, "proc.go.txt")) // .txt: dir is in the module
		if err != nil {
			return err
		}
		if err := os.WriteFile(proc, []byte(text), 0o644); err != nil {
			return err
		}
		replace[original] = proc
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "overlay.json"), list, 0o644)
}

// changed is the text of proc.go with all changes.
func changed(path string) (string, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	text := string(source)
	for _, c := range changes {
		if n := strings.Count(text, c.from); n != 1 {
			return "", fmt.Errorf("%s has %d times %q", path, n, c.from)
		}
		text = strings.Replace(text, c.from, c.to, 1)
	}
	return text, nil
}
