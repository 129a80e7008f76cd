package monitor

import (
	"net"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// A restricted process has its files and threads, and nothing that the monitor
// has no use for. It is a process of its own, since a filter stays.
func TestRestrict(t *testing.T) {
	if os.Getenv("OSTIA_TEST_RESTRICT") == "" {
		c := exec.Command("/proc/self/exe", "-test.run", "^TestRestrict$")
		c.Env = append(os.Environ(), "OSTIA_TEST_RESTRICT=1")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := restrict(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/file", []byte("x"), 0o600); err != nil {
		t.Error(err)
	}
	if err := unix.Renameat2(unix.AT_FDCWD, dir+"/file", unix.AT_FDCWD, dir+"/renamed", 0); err != nil {
		t.Error(err)
	}
	if err := unix.Mknodat(unix.AT_FDCWD, dir+"/pipe", unix.S_IFIFO|0o600, 0); err != nil {
		t.Error(err)
	}
	if c, err := net.FileConn(os.NewFile(uintptr(pair[0]), "pair")); err != nil {
		t.Error(err)
	} else if _, err := c.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	done := make(chan struct{})
	go func() { close(done) }()
	<-done
	_, socket := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	_, code := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON)
	_, _, fork := unix.RawSyscall(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0)
	_, size := unix.IoctlGetInt(pair[1], unix.TIOCOUTQ)
	for name, err := range map[string]error{
		"socket": socket, "execve": unix.Exec("/proc/self/exe", []string{"x"}, nil), "mount": unix.Mount("x", "/", "tmpfs", 0, ""),
		"unshare": unix.Unshare(unix.CLONE_NEWNS), "ptrace": unix.PtraceAttach(1), "clone": fork, "mmap": code, "ioctl": size,
		"kill": unix.Kill(1, 0), "setuid": unix.Setresuid(1, 1, 1),
	} {
		if err != unix.EPERM {
			t.Errorf("%s: %v, want EPERM", name, err)
		}
	}
}

// Landlock alone refuses device nodes, even to root.
func TestConfine(t *testing.T) {
	if os.Getenv("OSTIA_TEST_CONFINE") == "" {
		c := exec.Command("/proc/self/exe", "-test.v", "-test.run", "^TestConfine$")
		c.Env = append(os.Environ(), "OSTIA_TEST_CONFINE=1")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 || version < 2 || os.Geteuid() != 0 {
		t.Skip("needs root and a kernel with Landlock")
	}
	dir := t.TempDir()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := confine(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mknod(dir+"/null", unix.S_IFCHR|0o600, 0x103); err != unix.EACCES {
		t.Errorf("mknod: %v, want EACCES", err)
	}
	if err := unix.Exec("/bin/true", []string{"true"}, nil); err != unix.EACCES {
		t.Errorf("execve: %v, want EACCES", err)
	}
	if err := os.WriteFile(dir+"/file", nil, 0o600); err != nil {
		t.Error(err)
	}
}
