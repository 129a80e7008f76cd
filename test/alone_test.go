package test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// aloneFor names the variable with the pid, outside, of who waits for a test
// that is alone: ids are to differ from those of others on this machine.
const aloneFor = "OSTIA_TEST_ALONE_FOR"

// alone runs the test once more, as the only process of a pid namespace, with
// mounts, a /run, a /tmp and a /dev/shm of its own: whatever is there afterwards
// and was not before is a leak. It returns false in that process. What goes
// wrong there ends with it.
func alone(t *testing.T) bool {
	if os.Getenv(aloneFor) != "" {
		return false
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The shell stays as the first process: it reaps what is orphaned. The
	// programs may lie below what is covered.
	const script = `
mount -t tmpfs -o mode=755 run /run
mkdir /run/programs
cp "$1" /run/programs/test; cp "$2" /run/programs/ostia; cp "$3" /run/programs/busybox
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t tmpfs -o mode=1777 shm /dev/shm
cd /run/programs
export RUNTIME=/run/programs/ostia BUSYBOX=/run/programs/busybox TMPDIR=/tmp
shift 3
/run/programs/test "$@"
exit $?`
	args := []string{"--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private",
		"sh", "-ec", script, "sh", self, runtimePath(t), busyboxOfHost(t)}
	args = append(append(args, os.Args[1:]...), "-test.run=^"+t.Name()+"$")
	cmd := exec.Command("unshare", args...)
	pid := strconv.Itoa(os.Getpid())
	cmd.Env = append(os.Environ(), aloneFor+"="+pid)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		for _, path := range cgroups(testID(pid)) {
			os.Remove(path)
		}
		t.Fatal(err)
	}
	return true
}

func busyboxOfHost(t *testing.T) string {
	if path := os.Getenv("BUSYBOX"); path != "" {
		return path
	}
	path, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// inventory lists what there is of what a runtime could leave behind, but for
// the reports that explain reads. It is for a test that is alone.
func inventory(id string) []string {
	var all []string
	pids, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range pids {
		if pid, _ := strconv.Atoi(filepath.Base(dir)); pid != 1 && pid != os.Getpid() {
			all = append(all, "process "+strconv.Itoa(pid)+" "+commandLine(pid))
		}
	}
	info, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(info)) {
		all = append(all, "mount "+strings.TrimSpace(line))
	}
	for _, path := range cgroups(id) {
		all = append(all, "cgroup "+path)
	}
	descriptors, _ := filepath.Glob("/proc/self/fd/*")
	for _, path := range descriptors {
		if target, err := os.Readlink(path); err == nil { // else that of the glob itself
			all = append(all, "descriptor "+path+" "+target)
		}
	}
	for _, dir := range []string{"/run", "/tmp", "/dev/shm", "/dev/mqueue"} {
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			if d.Name() == ".failed" {
				return fs.SkipDir
			}
			size := int64(0)
			if i, err := d.Info(); err == nil && i.Mode().IsRegular() {
				size = i.Size()
			}
			all = append(all, fmt.Sprintf("file %s %v %d", path, d.Type(), size))
			return nil
		})
	}
	return all
}

// same requires that there is what there was. A killed process is given time
// to go.
func same(t *testing.T, id string, before []string) {
	t.Helper()
	var more, less []string
	for range 100 {
		now := inventory(id)
		more = slices.DeleteFunc(slices.Clone(now), func(s string) bool { return slices.Contains(before, s) })
		less = slices.DeleteFunc(slices.Clone(before), func(s string) bool { return slices.Contains(now, s) })
		if len(more)+len(less) == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("left behind:\n\t%s\nmissing:\n\t%s", strings.Join(more, "\n\t"), strings.Join(less, "\n\t"))
}

// kernelMemory is what the whole machine has in use, by kind: other processes
// move it too, so that only much is a leak.
func kernelMemory() map[string]int {
	use := map[string]int{}
	first := func(name, path, prefix string, field int) {
		text, _ := os.ReadFile(path)
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); strings.HasPrefix(line, prefix) && len(f) > field {
				use[name], _ = strconv.Atoi(f[field])
				return
			}
		}
	}
	first("mounts", "/proc/slabinfo", "mnt_cache ", 1)
	first("open files", "/proc/sys/fs/file-nr", "", 0)
	first("pages of memory files and tmpfs", "/proc/vmstat", "nr_shmem ", 1)
	first("pids", "/proc/slabinfo", "pid ", 1)
	first("cgroups with memory, dying ones too", "/proc/cgroups", "memory", 2)
	return use
}

// exitStatus is a command's, -1 for one that a signal ended.
func exitStatus(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		return -2
	}
	return 0
}
