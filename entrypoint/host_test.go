package entrypoint

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ostia/test/entrypoints"

	"golang.org/x/sys/unix"
)

// inChild runs the calling test again in a process of its own, made so by sys,
// and says whether this is that process.
func inChild(t *testing.T, sys *syscall.SysProcAttr, env ...string) bool {
	t.Helper()
	if os.Getenv("ENTRYPOINT_TEST_CHILD") == t.Name() {
		return true
	}
	c := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = append(os.Environ(), "ENTRYPOINT_TEST_NS=1", "ENTRYPOINT_TEST_CHILD="+t.Name())
	c.Env = append(c.Env, env...)
	c.SysProcAttr = sys
	out, err := c.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
	return false
}

// A user namespace has handlers of its own (Linux 6.7), so that registering one
// changes nothing for anybody else.
func TestHandlers(t *testing.T) {
	dir := os.Getenv("ENTRYPOINT_TEST_DIR")
	if dir == "" {
		tree(t)
		dir = t.TempDir()
		os.Chmod(dir, 0o755)
	}
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 65536}}
	if !inChild(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: true}, "ENTRYPOINT_TEST_DIR="+dir) {
		return
	}
	if err := unix.Mount("binfmt_misc", "/proc/sys/fs/binfmt_misc", "binfmt_misc", 0, ""); err != nil {
		t.Skip("no binfmt_misc in a user namespace: ", err)
	}
	machine, _ := entrypoints.Foreign()
	foreign := entrypoints.Program(machine, "foreign\n")
	write := func(name string, content []byte, mode fs.FileMode) {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, mode), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	write("emulator", entrypoints.Program(entrypoints.Native(), "emulated\n"), 0o755)
	write("foreign", foreign, 0o755)
	write("script", []byte("#!/foreign\n"), 0o755)
	write("a.ostia", []byte("a text"), 0o755)
	write("b.orphan", []byte("a text"), 0o755)
	write("text", []byte("a text"), 0o755)
	if tryHeader(foreign) {
		t.Error("the kernel takes a foreign program before a handler is registered")
	}
	register := func(entry string) {
		if err := os.WriteFile("/proc/sys/fs/binfmt_misc/register", []byte(entry), 0o200); err != nil {
			t.Fatal(err)
		}
	}
	hex := func(b []byte) (s string) {
		for _, c := range b {
			s += `\x` + string("0123456789abcdef"[c>>4]) + string("0123456789abcdef"[c&15])
		}
		return s
	}
	mask := append([]byte{}, foreign[:20]...)
	for i := range mask {
		mask[i] = 0xff
	}
	mask[7] = 0
	register(":foreign:M::" + hex(foreign[:20]) + ":" + hex(mask) + ":/emulator:")
	register(":ext:E::ostia::/emulator:")
	register(":orphan:E::orphan::/no/emulator:")

	if !tryHeader(foreign) {
		t.Error("the kernel refuses a foreign program that has a handler")
	}
	root := openRoot(t, dir)
	th, err := Open(root, "/", Credentials{Capabilities: allCapabilities(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer th.Close()
	for _, c := range []entrypoints.Case{
		{Args: []string{"/foreign"}, Stdout: "emulated\n"},
		{Args: []string{"/script"}, Stdout: "emulated\n"},
		{Args: []string{"/a.ostia"}, Stdout: "emulated\n"},
		{Args: []string{"/b.orphan"}, Status: NotFound, Has: `its binfmt_misc handler "/no/emulator" does not exist in the image`},
		{Args: []string{"/text"}, Status: CannotRun, Has: "without a #! line"},
	} {
		v := Judge(th, ThisHost(), c.Args, nil)
		if v.Status != c.Status || !strings.Contains(v.Error(), c.Has) {
			t.Errorf("%d %v, want %d", v.Status, v, c.Status)
		}
		sameAsKernel(t, th, &c)
	}
	// Where the handlers cannot be listed, the kernel is tried.
	h := &Host{Handlers: func() ([]Handler, bool) { return nil, false }, Try: tryHeader}
	if v := Judge(th, h, []string{"/foreign"}, nil); v.Status != 0 {
		t.Error(v)
	}
	if err := os.WriteFile("/proc/sys/fs/binfmt_misc/foreign", []byte("0"), 0o200); err != nil {
		t.Fatal(err)
	}
	if v := Judge(th, ThisHost(), []string{"/foreign"}, nil); v.Status != CannotRun {
		t.Error("disabled: ", v)
	}
}

// The 32-bit mode of this machine is there if a 32-bit program runs.
func TestCompat(t *testing.T) {
	tr := tree(t)
	if entrypoints.Native() != entrypoints.AMD64 {
		t.Skip("a 386 program on amd64")
	}
	th, err := Open(openRoot(t, tr.Root), "/", Credentials{Capabilities: allCapabilities(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer th.Close()
	v := Judge(th, ThisHost(), []string{"/opt/i386"}, nil)
	t.Log(v)
	sameAsKernel(t, th, &entrypoints.Case{Args: []string{"/opt/i386"}, Status: v.Status, Stdout: "hello32\n"})
	if v := Judge(th, &Host{}, []string{"/opt/i386"}, nil); v.Status != CannotRun {
		t.Errorf("without a 32-bit mode: %v", v)
	}
}

// Before Linux 6.14 the answers are the same, but for files open for writing.
func TestWithoutExecveCheck(t *testing.T) {
	tr := tree(t)
	root := openRoot(t, tr.Root)
	for _, c := range entrypoints.Cases(tr) {
		if c.Busy != "" {
			continue
		}
		creds := Credentials{UID: c.UID, GID: c.GID, Groups: c.Groups}
		if c.UID == 0 && !c.NoCaps {
			creds.Capabilities = allCapabilities(t)
		}
		th, err := Open(root, "/"+strings.TrimPrefix(c.Cwd, "/"), creds)
		if err != nil {
			t.Fatal(err)
		}
		th.ask(func(id *identity) { id.check = false })
		if v := Judge(th, ThisHost(), c.Args, c.Environment()); v.Status != c.Status {
			t.Errorf("%s: %d, want %d: %v", c.Name, v.Status, c.Status, v)
		}
		th.Close()
	}
}

// The rest of the process keeps its root, its identity and its dumpable flag,
// and the thread is nobody else's to signal.
func TestOpenChangesOneThread(t *testing.T) {
	tr := tree(t)
	// A child of another test that changed its ids before execve took it away:
	// package syscall forks with CLONE_VM.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	th, err := Open(openRoot(t, tr.Root), "/work", Credentials{UID: 1000, GID: 1000})
	if err != nil {
		t.Fatal(err)
	}
	defer th.Close()
	var ruid, euid, suid int
	th.ask(func(*identity) { ruid, euid, suid = unix.Getresuid() })
	if ruid != 0 || euid != 1000 || suid != 0 {
		t.Error("the thread's ids are ", ruid, euid, suid)
	}
	if os.Geteuid() != 0 {
		t.Error("the process became ", os.Geteuid())
	}
	if _, err := os.Stat(tr.Root + "/bin/hello"); err != nil {
		t.Error(err)
	}
	if d, _ := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); d != 1 {
		t.Error("dumpable is ", d)
	}
	if _, err := Open(openRoot(t, tr.Root), "/nosuch", Credentials{}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestOpenUnprivileged(t *testing.T) {
	if os.Getuid() == 0 && !inChild(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}) {
		return
	}
	_, err := Open(openRoot(t, "/"), "/", Credentials{UID: 65534, GID: 65534})
	var failure *OpenError
	if !errors.As(err, &failure) || !errors.Is(err, syscall.EPERM) || !strings.Contains(err.Error(), "CAP_SYS_CHROOT") {
		t.Error(err)
	}
}

// Every errno that execve(2) can give has words that the engines understand.
func TestErrnos(t *testing.T) {
	for e := syscall.Errno(1); e < 134; e++ {
		for _, path := range []string{"", "/x"} {
			v := FromErrno("/x", path, e)
			checkMessage(t, v.Error(), v.Status)
			if !errors.Is(v, e) {
				t.Error(e)
			}
		}
		line, status := Late("/x", e)
		if !strings.HasSuffix(line, "\n") {
			t.Error(line)
		}
		checkMessage(t, strings.TrimSuffix(line, "\n"), status)
	}
}

// The names of mounts in the configuration come from the caller; the ids in the
// text are those of the container.
func TestExplainInTheContainersTerms(t *testing.T) {
	tr := tree(t)
	root := openRoot(t, tr.Root)
	v := FromErrno("/data/tool", "/data/tool", syscall.EACCES)
	v.Explain(&Tree{Root: root, Mount: func(at string) string {
		if at == "/data" {
			return "mounts[4]"
		}
		return ""
	}})
	if want := `exec: "/data/tool": permission denied: /data is mounted noexec (mounts[4])`; v.Error() != want {
		t.Errorf("%v, want %s", v, want)
	}
	v = FromErrno("/opt/mode-700-user", "/opt/mode-700-user", syscall.EACCES)
	v.Explain(&Tree{Root: root, Credentials: Credentials{UID: 7}, UIDs: []IDMap{{Inside: 5, Outside: 1000, Size: 10}}, GIDs: []IDMap{{Inside: 5, Outside: 1000, Size: 10}}})
	if want := `uid 7 may not execute it (mode 0700, owner 5)`; !strings.HasSuffix(v.Error(), want) {
		t.Errorf("%v, want %s", v, want)
	}
	v = FromErrno("/opt/mode-700", "/opt/mode-700", syscall.EACCES)
	v.Explain(&Tree{Root: root, Credentials: Credentials{Capabilities: ^uint64(0)}, UIDs: []IDMap{{Outside: 1000, Size: 10}}, GIDs: []IDMap{{Outside: 1000, Size: 10}}})
	if want := `owner outside the user namespace)`; !strings.HasSuffix(v.Error(), want) {
		t.Errorf("%v, want %s", v, want)
	}
}

// dockerd's and podman's own expectations of two texts.
func TestPodmansOwnTexts(t *testing.T) {
	v := FromErrno("/etc", "/etc", syscall.EISDIR)
	if s := v.Error(); s != `exec: "/etc": is a directory: permission denied` {
		t.Error(s)
	}
	if s := FromErrno("nosuch", "", syscall.ENOENT).Error(); s != `exec: "nosuch": executable file not found in $PATH` {
		t.Error(s)
	}
}

// bounded is a thread without CAP_NET_ADMIN in its bounding set, and the tree
// that it is in.
type bounded struct {
	*Thread
	tree *Tree
}

func (b bounded) ReadRange(path string, offset int64, n int) []byte {
	return b.tree.ReadRange(path, offset, n)
}

func (b bounded) FileCapabilities(path string) ([]byte, uint64, uint64) {
	return b.tree.CapabilityAttribute(path), ^uint64(1 << unix.CAP_NET_ADMIN), 0
}

// A tree reads what a stage cannot, and nothing but regular files in it.
func TestTreeReads(t *testing.T) {
	tr := tree(t)
	tt := &Tree{Root: openRoot(t, tr.Root), Cwd: "/work"}
	for _, path := range []string{"/opt/link", "../opt/relative-link", "/opt/mode-000"} {
		if b := tt.ReadRange(path, 1, 3); string(b) != "ELF" {
			t.Errorf("%s: %q", path, b)
		}
	}
	for _, path := range []string{"/opt/fifo", "/opt/char", "/opt/dangling", "/opt/loop", "/opt/directory", "/"} {
		if b := tt.ReadRange(path, 0, 3); b != nil {
			t.Errorf("%s: %q", path, b)
		}
	}
	if b := tt.ReadRange("/opt/escape", 0, 4); string(b) != "root" {
		t.Errorf("a link out of the root: %q", b)
	}
	th, err := Open(tt.Root, "/", Credentials{Capabilities: allCapabilities(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer th.Close()
	if v := Judge(bounded{th, tt}, ThisHost(), []string{"/opt/loader-far"}, nil); v.Status != NotFound {
		t.Error(v)
	}
}

func TestFileCapabilities(t *testing.T) {
	tr := tree(t)
	th, err := Open(openRoot(t, tr.Root), "/", Credentials{Capabilities: allCapabilities(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer th.Close()
	th.ask(func(*identity) { err = unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_NET_ADMIN, 0, 0, 0) })
	if err != nil {
		t.Fatal(err)
	}
	const hello = "/bin/hello"
	for _, c := range []struct {
		effective byte
		set       uint32
		status    int
	}{
		{1, 1 << unix.CAP_NET_ADMIN, CannotRun},
		{1, 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_CHOWN, CannotRun},
		{0, 1 << unix.CAP_NET_ADMIN, 0},
		{1, 1 << unix.CAP_CHOWN, 0},
	} {
		attribute := make([]byte, 20)
		attribute[0], attribute[3] = c.effective, 2
		binary.LittleEndian.PutUint32(attribute[4:], c.set)
		if err := unix.Setxattr(tr.Root+hello, "security.capability", attribute, 0); err != nil {
			t.Skip("no file capabilities here: ", err)
		}
		v := Judge(bounded{th, &Tree{Root: openRoot(t, tr.Root)}}, ThisHost(), []string{hello}, nil)
		t.Log(v)
		if v.Status != c.status {
			t.Errorf("status %d, want %d: %v", v.Status, c.status, v)
		}
		if v.Status != 0 {
			checkMessage(t, v.Error(), v.Status)
			if !strings.Contains(v.Error(), "hold cap_net_admin, which") {
				t.Error(v)
			}
		}
		sameAsKernel(t, th, &entrypoints.Case{Args: []string{hello}, Status: c.status, Stdout: "hello\n"})
	}
}
