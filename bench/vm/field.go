package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

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
	if out, err := exec.Command(f.ostia, "spec", "--bundle", f.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("ostia spec: %w: %s", err, out)
	}
	return f.program("touch", "/"+mark)
}

// program makes a busybox's applet the entry point.
func (f *field) program(args ...string) error {
	text, err := os.ReadFile(f.dir + "/config.json")
	if err != nil {
		return err
	}
	var c map[string]any
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	p := c["process"].(map[string]any)
	p["args"], p["terminal"] = append([]string{"/bin/busybox"}, args...), false
	c["root"].(map[string]any)["readonly"] = false
	if text, err = json.Marshal(c); err != nil {
		return err
	}
	return os.WriteFile(f.dir+"/config.json", text, 0o644)
}

// warm is a first boot, which fills ostia's cache.
func (f *field) warm() error {
	return f.round("ostia's first boot", func(ctx context.Context) error {
		p, err := f.start(ctx, f.ostia, f.ostiaArgs(f.id())...)
		if err == nil {
			err = p.wait()
		}
		return err
	})
}

// cached is a file of ostia's cache, which the first boot has made.
func cached(name string) (string, error) {
	list, _ := filepath.Glob("/var/cache/ostia/vm/*/" + name)
	if len(list) != 1 {
		return "", fmt.Errorf("%d files named %s in ostia's cache", len(list), name)
	}
	return list[0], nil
}

func (f *field) id() string {
	f.next++
	return fmt.Sprintf("bench-vm-%d", f.next)
}

func (f *field) ostiaArgs(id string) []string {
	return []string{"--root", f.dir + "/state", "--handler", "vm", "run", "--bundle", f.dir, id}
}

// process is a program under measurement, whose output goes to a file.
type process struct {
	cmd    *exec.Cmd
	output *os.File
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
	return &process{c, out}, nil
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
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, p.said())
	}
	return nil
}

// kill ends a process whose end says nothing.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
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

// marked waits for the mark, from a watch that began before.
type watch struct{ fd int }

func (f *field) watch() (*watch, error) {
	if err := os.Remove(filepath.Join(f.root(), mark)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if _, err := unix.InotifyAddWatch(fd, f.root(), unix.IN_CREATE); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &watch{fd}, nil
}

func (w *watch) close() { unix.Close(w.fd) }

// wait waits until the entry point has made its mark.
func (w *watch) wait(ctx context.Context) error {
	for {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}, 1000)
		if ctx.Err() != nil {
			return fmt.Errorf("the entry point did not start: %w", ctx.Err())
		}
		if err == unix.EINTR || ready == 0 {
			continue
		}
		if err != nil {
			return err
		}
		var b [4096]byte
		n, err := unix.Read(w.fd, b[:])
		if err != nil {
			return err
		}
		if bytes.Contains(b[:n], []byte(mark+"\x00")) {
			return nil
		}
	}
}
