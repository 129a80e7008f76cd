package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// field is where both are measured: one bundle, whose root file system both
// serve, and what ostia's cache holds of kernel and initramfs.
type field struct {
	options
	dir            string // the bundle's
	kernel, initrd string
	next           int
}

// mark is what the entry point makes first: a file in its root, which the host
// sees at once.
const mark = "mark"

func newField(o options) (*field, error) {
	dir, err := os.MkdirTemp("", "bench-vm-")
	if err != nil {
		return nil, err
	}
	f := &field{options: o, dir: dir}
	err = f.bundle()
	if err == nil {
		err = hear()
	}
	if err == nil {
		err = f.warm()
	}
	if err == nil {
		f.kernel, err = cached("vmlinux")
	}
	if err == nil {
		f.initrd, err = cached("initramfs")
	}
	if err != nil {
		f.remove()
		return nil, err
	}
	return f, nil
}

func (f *field) remove() { _ = os.RemoveAll(f.dir) }

func (f *field) root() string { return filepath.Join(f.dir, "rootfs") }

// bundle is what `ostia spec` writes, with a busybox.
func (f *field) bundle() error {
	busybox, err := os.ReadFile(os.Getenv("BUSYBOX"))
	if err != nil {
		return fmt.Errorf("%w (set BUSYBOX to a static busybox)", err)
	}
	for _, d := range []string{"bin", "dev", "proc", "sys", "data"} {
		if err := os.MkdirAll(filepath.Join(f.root(), d), 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(f.root()+"/bin/busybox", busybox, 0o755); err != nil {
		return err
	}
	for _, applet := range []string{"sh", "touch", "sleep", "true", "dd", "ls", "rm", "seq"} {
		if err := os.Symlink("busybox", f.root()+"/bin/"+applet); err != nil {
			return err
		}
	}
	if out, err := exec.Command(f.ostia, "spec", "--bundle", f.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("ostia spec: %w: %s", err, out)
	}
	return f.program("touch /" + mark)
}

// program makes a shell script the entry point.
func (f *field) program(script string) error {
	return f.configure(func(c map[string]any) {
		p := c["process"].(map[string]any)
		p["args"], p["terminal"] = []string{"/bin/sh", "-c", script}, false
		c["root"].(map[string]any)["readonly"] = false
	})
}

// configure changes the bundle's configuration.
func (f *field) configure(change func(map[string]any)) error {
	text, err := os.ReadFile(f.dir + "/config.json")
	if err != nil {
		return err
	}
	var c map[string]any
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	change(c)
	if text, err = json.Marshal(c); err != nil {
		return err
	}
	return os.WriteFile(f.dir+"/config.json", text, 0o644)
}

// warm is a first boot, which fills ostia's cache.
func (f *field) warm() error {
	return f.round("ostia's first boot", func(ctx context.Context) error {
		p, err := f.start(ctx, f.ostia, f.runArgs(f.ostia, f.id())...)
		if err == nil {
			err = p.wait()
		}
		return err
	})
}

// cached is a file of ostia's cache, which the first boot has made and marked
// as fit since this guest has started.
func cached(name string) (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	list, _ := filepath.Glob("/var/cache/ostia/vm/*/fit-" + strings.TrimSpace(string(boot)))
	if len(list) != 1 {
		return "", fmt.Errorf("%d kernels in ostia's cache after one boot", len(list))
	}
	return filepath.Join(filepath.Dir(list[0]), name), nil
}

func (f *field) id() string {
	f.next++
	return fmt.Sprintf("bench-vm-%d", f.next)
}

// runArgs run the bundle by one of the runtimes.
func (f *field) runArgs(runtime, id string) []string {
	args := []string{"--root", f.state(runtime)}
	if runtime == f.ostia {
		args = append(args, "--handler", "vm")
	}
	return append(args, "run", "--bundle", f.dir, id)
}

func (f *field) state(runtime string) string { return f.dir + "/state-" + filepath.Base(runtime) }

// command runs a command of a runtime to its end.
func (f *field) command(runtime string, args ...string) (string, error) {
	out, err := exec.Command(runtime, append([]string{"--root", f.state(runtime)}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %v: %w: %s", filepath.Base(runtime), args, err, out)
	}
	return string(out), nil
}

// process is a program under measurement, whose output goes to a file.
type process struct {
	cmd    *exec.Cmd
	output *os.File
	ended  chan struct{}
	err    error // how it ended
}

func (f *field) start(ctx context.Context, path string, args ...string) (*process, error) {
	out, err := os.CreateTemp(f.dir, "output-")
	if err != nil {
		return nil, err
	}
	os.Remove(out.Name())
	c := exec.CommandContext(ctx, path, args...)
	c.Stdout, c.Stderr = out, out
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		out.Close()
		return nil, err
	}
	p := &process{cmd: c, output: out, ended: make(chan struct{})}
	go func() {
		p.err = c.Wait()
		close(p.ended)
	}()
	return p, nil
}

func (p *process) said() string {
	_, _ = p.output.Seek(0, 0)
	var b bytes.Buffer
	_, _ = b.ReadFrom(p.output)
	return strings.TrimSpace(b.String())
}

// wait waits for a good end.
func (p *process) wait() error {
	defer p.output.Close()
	<-p.ended
	if p.err != nil {
		return fmt.Errorf("%w: %s", p.err, p.said())
	}
	return nil
}

// kill ends a process whose end says nothing.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
	p.output.Close()
}

func version(path string, args []string) (command, error) {
	out, err := exec.Command(path, "--version").CombinedOutput()
	if err != nil {
		return command{}, fmt.Errorf("%s --version: %w", path, err)
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return command{first, filepath.Base(path) + " " + strings.Join(args, " ")}, nil
}

// watch sees the marks that a container makes.
type watch struct {
	fd    int
	began time.Time
	seen  map[string]time.Duration
}

func (f *field) watch() (*watch, error) {
	old, _ := filepath.Glob(filepath.Join(f.root(), mark+"*"))
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if _, err := unix.InotifyAddWatch(fd, f.root(), unix.IN_CREATE); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &watch{fd, time.Now(), map[string]time.Duration{}}, nil
}

func (w *watch) close() { unix.Close(w.fd) }

// wait waits until the container has made a mark, and returns when that was,
// from the watch's beginning.
func (w *watch) wait(ctx context.Context, name string) (time.Duration, error) {
	for {
		if at, ok := w.seen[name]; ok {
			return at, nil
		}
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}, 1000)
		if ctx.Err() != nil {
			return 0, fmt.Errorf("its container did not come to %s: %w", name, context.Cause(ctx))
		}
		if err == unix.EINTR || ready == 0 {
			continue
		}
		if err != nil {
			return 0, err
		}
		var b [4096]byte
		n, err := unix.Read(w.fd, b[:])
		if err != nil {
			return 0, err
		}
		for rest := b[:n]; len(rest) >= unix.SizeofInotifyEvent; {
			end := unix.SizeofInotifyEvent + binary.LittleEndian.Uint32(rest[12:])
			made := unix.ByteSliceToString(rest[unix.SizeofInotifyEvent:end])
			if _, again := w.seen[made]; !again {
				w.seen[made] = time.Since(w.began)
			}
			rest = rest[end:]
		}
	}
}
