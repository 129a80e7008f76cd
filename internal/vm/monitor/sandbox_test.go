package monitor

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// A restricted process has its files and threads, and none of what is
// forbidden. It is a process of its own, since a filter stays.
func TestRestrict(t *testing.T) {
	if os.Getenv("OSTIA_TEST_RESTRICT") == "" {
		c := exec.Command("/proc/self/exe", "-test.run", "^TestRestrict$")
		c.Env = append(os.Environ(), "OSTIA_TEST_RESTRICT=1")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := restrict(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile("/proc/self/status"); err != nil {
		t.Error(err)
	}
	done := make(chan struct{})
	go func() { close(done) }()
	<-done
	_, socket := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	for name, err := range map[string]error{
		"socket": socket, "execve": unix.Exec("/proc/self/exe", []string{"x"}, nil), "mount": unix.Mount("x", "/", "tmpfs", 0, ""),
		"unshare": unix.Unshare(unix.CLONE_NEWNS), "ptrace": unix.PtraceAttach(1),
	} {
		if err != unix.EPERM {
			t.Errorf("%s: %v, want EPERM", name, err)
		}
	}
}
