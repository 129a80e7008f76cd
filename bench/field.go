package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
)

// field is where the runtimes are measured.
type field struct {
	dir      string
	runs     int
	runtimes []program
	null     *os.File
	log      *os.File // what the runtimes and containers print
	next     atomic.Int64
}

// newField makes the folder with the bundles and a copy of each runtime. How
// a binary came into the page cache, by a linker page by page or by a copy in
// large pieces, is worth 5 % of a run: all are measured as installed.
func newField(runtimes []program, runs int) (*field, error) {
	dir, err := os.MkdirTemp("", "ostia-bench-")
	if err != nil {
		return nil, err
	}
	b := &field{dir: dir, runs: runs, runtimes: runtimes}
	if b.null, err = os.Open(os.DevNull); err == nil {
		b.log, err = os.OpenFile(filepath.Join(dir, "log"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	}
	if err == nil {
		err = b.bundles(runtimes[0].Path)
	}
	for i := range b.runtimes {
		var binary []byte
		if err == nil {
			binary, err = os.ReadFile(b.runtimes[i].Path)
		}
		if err == nil {
			b.runtimes[i].Path = filepath.Join(dir, fmt.Sprintf("runtime-%d", i))
			err = os.WriteFile(b.runtimes[i].Path, binary, 0o755)
		}
	}
	if err != nil {
		b.remove()
		return nil, err
	}
	return b, nil
}

func (b *field) remove() { os.RemoveAll(b.dir) }

// The bundles share one root file system; only the configuration differs.
const (
	bundleTrue    = "true"
	bundleSeccomp = "seccomp"
	bundleSleep   = "sleep"
)

// bundles makes the bundles: what `ostia spec` writes, with another program.
func (b *field) bundles(ostia string) error {
	busybox := os.Getenv("BUSYBOX")
	if busybox == "" {
		busybox = "/bin/busybox"
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		return fmt.Errorf("%w (set BUSYBOX to a static busybox)", err)
	}
	var seccomp any
	profile, err := os.ReadFile("internal/seccomp/testdata/docker-default.json")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(profile, &seccomp); err != nil {
		return err
	}
	for name, args := range map[string][]string{
		bundleTrue: {"/bin/true"}, bundleSeccomp: {"/bin/true"}, bundleSleep: {"/bin/sleep", "1000"},
	} {
		bin := filepath.Join(b.dir, name, "rootfs", "bin")
		for _, dir := range []string{bin, filepath.Join(b.dir, name, "rootfs", "proc"), filepath.Join(b.dir, name, "rootfs", "dev"), filepath.Join(b.dir, name, "rootfs", "sys")} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
		}
		for _, applet := range []string{"true", "sleep"} {
			if err := os.WriteFile(filepath.Join(bin, applet), program, 0o755); err != nil {
				return err
			}
		}
		if out, err := exec.Command(ostia, "spec", "--bundle", filepath.Join(b.dir, name)).CombinedOutput(); err != nil {
			return fmt.Errorf("ostia spec: %w: %s", err, out)
		}
		if err := b.edit(name, func(c map[string]any) {
			process := c["process"].(map[string]any)
			process["args"], process["terminal"] = args, false
			if name == bundleSeccomp {
				c["linux"].(map[string]any)["seccomp"] = seccomp
			}
		}); err != nil {
			return err
		}
	}
	return nil
}

// edit changes a bundle's configuration.
func (b *field) edit(name string, change func(map[string]any)) error {
	path := filepath.Join(b.dir, name, "config.json")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var c map[string]any
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	change(c)
	if text, err = json.MarshalIndent(c, "", "\t"); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

func (b *field) bundle(name string) string { return filepath.Join(b.dir, name) }

// id is a container's name that no other has had.
func (b *field) id() string {
	return fmt.Sprintf("ostia-bench-%d-%d", os.Getpid(), b.next.Add(1))
}

// cost is what one run of a command took, with all its descendants that were
// waited for.
type cost struct {
	wall, cpu time.Duration
	faults    int64
}

// run runs a runtime once. Between the two looks at the clock lie only a vfork,
// the execve and the wait: what the measuring itself takes is added to every
// runtime alike and would make them look more alike than they are.
func (b *field) run(p *program, args ...string) (cost, error) {
	argv := append([]string{p.Name}, args...)
	// Files, not pipes: nobody else is woken up.
	attr := &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{b.null.Fd(), b.log.Fd(), b.log.Fd()}}
	var status syscall.WaitStatus
	var usage syscall.Rusage
	start := time.Now()
	pid, err := syscall.ForkExec(p.Path, argv, attr)
	if err == nil {
		_, err = syscall.Wait4(pid, &status, 0, &usage)
	}
	wall := time.Since(start)
	if err == nil && status != 0 {
		said, _ := os.ReadFile(b.log.Name())
		err = fmt.Errorf("status %#x: %s", status, said)
	}
	if err != nil {
		return cost{}, fmt.Errorf("%s %v: %w", p.Name, args, err)
	}
	return cost{wall, time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), usage.Minflt}, nil
}
