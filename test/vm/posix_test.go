package vm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// pjdfstest(https://github.com/pjd/pjdfstest), built in the folder that
// $PJDFSTEST names, finds nothing wrong with a volume but what
// docs/microvm.md lists. Debian has no package of it.
func TestPJDFS(t *testing.T) {
	suite := os.Getenv("PJDFSTEST")
	if suite == "" {
		t.Skip("PJDFSTEST names no built pjdfstest")
	}
	tests := os.Getenv("PJDFSTEST_TESTS") // some folders or files of its tests
	if tests == "" {
		tests = "."
	}
	volume := onExt4(t)
	dir := bundle(t, "cd /volume; chmod 755 .; for t in "+tests+"; do set -- $* /suite/tests/$t; done; exec /usr/bin/prove -r $*", func(c object) {
		hostPrograms(t, c)
		addMount(c, object{"destination": "/suite", "type": "bind", "source": suite, "options": []string{"rbind", "ro"}})
		addMount(c, object{"destination": "/volume", "type": "bind", "source": volume, "options": []string{"rbind", "rw"}})
		capabilities(c, "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_SETUID", "CAP_SETGID", "CAP_MKNOD", "CAP_SYS_RESOURCE")
		process(c)["rlimits"] = []object{{"type": "RLIMIT_NOFILE", "soft": 4096, "hard": 4096}}
	})
	r := ostiaWithin(t, endless, "", "run", "--bundle", dir, name(t))
	t.Logf("exit status %d\n%s%s", r.status, r.stdout, r.stderr)
	if r.status != 0 {
		t.Errorf("exit status %d", r.status)
	}
}

// stress-ng's stressors of file systems, which check what they read back, find
// nothing wrong with a volume.
func TestStress(t *testing.T) {
	full(t)
	program := filepath.Join(os.Getenv("OSTIA_CACHE"), "stress-ng")
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("%v: test/deps vm unpacks it", err)
	}
	volume := onExt4(t)
	// Those of Debian 12's stress-ng that need no device and no privilege.
	stressors := "access chdir chmod chown copy-file dentry dir dirdeep dirmany dup fallocate fcntl fiemap file-ioctl filename flock fsize fstat getdent hdd io " +
		"iomix lease link locka lockf lockofd mmap mknod open rename seek symlink sync-file touch utime verity xattr"
	r := ostiaWithin(t, endless, "", "run", "--bundle", bundle(t,
		"export LD_LIBRARY_PATH=/program/usr/lib/x86_64-linux-gnu; for s in "+stressors+`; do
/program/usr/bin/stress-ng --temp-path /volume --$s 2 --timeout 2 --verify >/tmp/$s 2>&1 || { echo "$s: exit status $?"; cat /tmp/$s; }; done; ls /volume`, func(c object) {
			hostPrograms(t, c)
			annotate(c, "krun.ram_mib", "512")
			addMount(c, object{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"})
			addMount(c, object{"destination": "/program", "type": "bind", "source": program, "options": []string{"rbind", "ro"}})
			addMount(c, object{"destination": "/volume", "type": "bind", "source": volume, "options": []string{"rbind", "rw"}})
			process(c)["rlimits"] = []object{{"type": "RLIMIT_NOFILE", "soft": 4096, "hard": 4096}}
		}), name(t))
	r.want(t, 0, "")
}

// onExt4 is a folder of an ext4 file system of its own, in the guest of
// test/guest: a tmpfs has no attributes of users.
func onExt4(t *testing.T) string {
	t.Helper()
	if os.Getenv("OSTIA_GUEST") == "" {
		t.Skip("mounts a file: in the guest of test/guest only")
	}
	image, dir := filepath.Join(t.TempDir(), "ext4"), t.TempDir()
	check(t, os.WriteFile(image, nil, 0o600))
	check(t, os.Truncate(image, 3<<30))
	for _, c := range [][]string{{"modprobe", "loop"}, {"mkfs.ext4", "-q", image}, {"mount", "-o", "loop", image, dir}, {"rmdir", dir + "/lost+found"}} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", c, err, out)
		}
	}
	t.Cleanup(func() { check(t, unix.Unmount(dir, 0)) })
	return dir
}

// hostPrograms gives a container this machine's programs and libraries.
func hostPrograms(t *testing.T, c object) {
	t.Helper()
	for _, dir := range []string{"/usr", "/lib", "/lib64", "/etc/alternatives"} { // awk is one
		real, err := filepath.EvalSymlinks(dir)
		check(t, err)
		addMount(c, object{"destination": dir, "type": "bind", "source": real, "options": []string{"rbind", "ro"}})
	}
	process(c)["env"] = []string{"PATH=" + strings.Join([]string{"/usr/bin", "/usr/sbin", "/bin"}, ":")}
}
