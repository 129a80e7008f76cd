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
	next     atomic.Int64
}

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

// run runs a runtime once.
func run(p *program, args ...string) (cost, error) {
	cmd := exec.Command(p.Path, args...)
	log, err := os.OpenFile(filepath.Join(os.TempDir(), fmt.Sprintf("ostia-bench-%d.log", os.Getpid())), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return cost{}, err
	}
	defer os.Remove(log.Name())
	defer log.Close()
	// A file, not a pipe: nobody else is woken up.
	cmd.Stdout, cmd.Stderr = log, log
	start := time.Now()
	err = cmd.Run()
	wall := time.Since(start)
	if err != nil {
		said, _ := os.ReadFile(log.Name())
		return cost{}, fmt.Errorf("%s %v: %w: %s", p.Name, args, err, said)
	}
	u := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return cost{wall, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), u.Minflt}, nil
}
