package entrypoint

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ostia/test/entrypoints"

	"golang.org/x/sys/unix"
)

// TestMain runs the tests in a mount namespace of their own.
func TestMain(m *testing.M) {
	if os.Getuid() == 0 && os.Getenv("ENTRYPOINT_TEST_NS") == "" {
		c := exec.Command("/proc/self/exe", os.Args[1:]...)
		c.Env = append(os.Environ(), "ENTRYPOINT_TEST_NS=1")
		c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
		c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
		if err := c.Run(); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// tree builds the entry points, with their noexec mount.
func tree(t *testing.T) *entrypoints.Tree {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("device nodes, owners and mounts take root")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	tr, err := entrypoints.Build(dir)
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(tr.Root, entrypoints.NoexecMountPoint)
	if err := unix.Mount(tr.Noexec, data, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(data, unix.MNT_DETACH) })
	if err := unix.Mount("", data, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_NOEXEC, ""); err != nil {
		t.Fatal(err)
	}
	return tr
}

func openRoot(t *testing.T, path string) int {
	t.Helper()
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// allCapabilities are those that this process has.
func allCapabilities(t *testing.T) uint64 {
	t.Helper()
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&h, &sets[0]); err != nil {
		t.Fatal(err)
	}
	return uint64(sets[0].Effective) | uint64(sets[1].Effective)<<32
}

func TestTable(t *testing.T) {
	tr := tree(t)
	root := openRoot(t, tr.Root)
	host := ThisHost()
	caps := allCapabilities(t)
	cases := entrypoints.Cases(tr)
	if len(cases) < 60 {
		t.Errorf("%d cases", len(cases))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			creds := Credentials{UID: c.UID, GID: c.GID, Groups: c.Groups}
			if c.UID == 0 && !c.NoCaps {
				creds.Capabilities = caps
			}
			cwd := c.Cwd
			if cwd == "" {
				cwd = "/"
			}
			if c.Busy != "" {
				f, err := os.OpenFile(filepath.Join(tr.Root, c.Busy), os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
			}
			th, err := Open(root, cwd, creds)
			if err != nil {
				t.Fatal(err)
			}
			defer th.Close()
			v := Judge(th, host, c.Args, c.Environment())
			if v.Status != c.Status {
				t.Fatalf("status %d, want %d: %v", v.Status, c.Status, v)
			}
			sameAsKernel(t, th, &c)
			if v.Status == 0 {
				return
			}
			bare := v.Error()
			v.Explain(&Tree{Root: root, Cwd: cwd, Credentials: creds, Env: c.Environment()})
			t.Log(v)
			for _, message := range []string{bare, v.Error()} {
				checkMessage(t, message, c.Status)
			}
			for _, words := range strings.Split(c.Has, "|") {
				if !strings.Contains(v.Error(), words) {
					t.Errorf("%q does not hold %q", v.Error(), words)
				}
			}
		})
	}
}

// checkMessage holds a message to the rules of every engine.
func checkMessage(t *testing.T, message string, status int) {
	t.Helper()
	for _, e := range entrypoints.Engines() {
		if got := e.Status(message); got != status {
			t.Errorf("%s makes %d of %q, want %d", e.Name, got, message, status)
		}
	}
	if len(message) > 400 {
		t.Errorf("%d bytes: %q", len(message), message)
	}
	for _, r := range message {
		if r < ' ' || r == 0x7f || r == '\ufffd' {
			t.Errorf("%q in %q", r, message)
		}
	}
	low := strings.ToLower(message)
	forbidden := []string{"permission denied", "operation not permitted", "is a directory", "not a directory"}
	if status == CannotRun {
		forbidden = []string{"not found", "no such file", "open executable", "not a directory"}
	}
	for _, f := range forbidden {
		if strings.Contains(low, f) {
			t.Errorf("%q holds %q", message, f)
		}
	}
}

// sameAsKernel executes the entry point from the thread that judged it, in its
// root and identity.
func sameAsKernel(t *testing.T, th *Thread, c *entrypoints.Case) {
	t.Helper()
	var out bytes.Buffer
	var status syscall.WaitStatus
	err := error(syscall.ENOENT)
	denied := false
	for _, path := range Candidates(c.Args[0], c.Environment()) {
		if err = run(th, path, c, &out, &status); err == nil {
			break
		}
		if err != syscall.ENOENT && err != syscall.ENOTDIR && err != syscall.EACCES {
			break
		}
		denied = denied || err == syscall.EACCES
	}
	if err == syscall.ENOENT && denied {
		err = syscall.EACCES
	}
	switch {
	case c.Late:
		if err == nil && !status.Signaled() {
			t.Errorf("the kernel ran it to the end: %v", status)
		}
	case c.Status == 0:
		if err != nil || status != 0 || out.String() != c.Stdout {
			t.Errorf("the kernel says %v, %v, printed %q, want %q", err, status, out.String(), c.Stdout)
		}
	case err == nil:
		t.Errorf("the kernel runs it: %v, printed %q", status, out.String())
	case (err == syscall.ENOENT) != (c.Status == NotFound):
		t.Errorf("the kernel says %v", err)
	}
}

func run(th *Thread, path string, c *entrypoints.Case, out io.Writer, status *syscall.WaitStatus) (err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	var pid int
	fd := w.Fd()
	th.ask(func(*identity) {
		pid, err = syscall.ForkExec(path, c.Args, &syscall.ProcAttr{Env: c.Environment(), Files: []uintptr{fd, fd, fd}})
	})
	w.Close()
	if err != nil {
		return err
	}
	io.Copy(out, r)
	_, err = syscall.Wait4(pid, status, 0, nil)
	return err
}
