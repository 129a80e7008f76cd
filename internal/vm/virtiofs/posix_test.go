package virtiofs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// pjdfstest (https://github.com/pjd/pjdfstest), built in the folder that
// $PJDFSTEST names, finds nothing wrong with what a kernel makes of the server but
// what docs/microvm.md lists. The kernel is this one, and asks through /dev/fuse
// what a guest's asks through a queue: a machine that is emulated takes hours.
func TestPJDFS(t *testing.T) {
	suite := os.Getenv("PJDFSTEST")
	if suite == "" || os.Getuid() != 0 {
		t.Skip("PJDFSTEST names no built pjdfstest, or this is not root")
	}
	dir := mount(t)
	args := []string{"-r"}
	for name := range strings.FieldsSeq(os.Getenv("PJDFSTEST_TESTS") + " ") {
		args = append(args, filepath.Join(suite, "tests", name))
	}
	if len(args) == 1 {
		args = append(args, filepath.Join(suite, "tests"))
	}
	// Not by this process's umask, which is the server's too.
	c := exec.Command("sh", append([]string{"-c", `umask 022; exec prove "$@"`, "prove"}, args...)...)
	c.Dir = dir
	out, err := c.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}

// mount is a folder that is a server's: an empty one of $TMPDIR, by this kernel.
func mount(t *testing.T) string {
	t.Helper()
	unix.Umask(0)
	source, target := t.TempDir(), t.TempDir()
	root, err := unix.Open(source, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	proc, err := unix.Open("/proc/self/fd", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(root, proc)
	if err != nil {
		t.Fatal(err)
	}
	dev, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other", dev)
	if err := unix.Mount("fuse", target, "fuse", 0, options); err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		in, out := make([]byte, maxIO+1<<12), make([]byte, maxIO+1<<12)
		for {
			n, err := unix.Read(dev, in)
			switch err {
			case nil:
			case unix.EINTR, unix.ENOENT, unix.EAGAIN:
				continue
			default:
				return // unmounted
			}
			if n := s.Handle([][]byte{in[:n]}, [][]byte{out}); n > 0 {
				_, _ = unix.Write(dev, out[:n]) // a request that was interrupted wants no answer
			}
		}
	}()
	t.Cleanup(func() {
		if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
		<-served
	})
	return target
}
