package test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// leftovers lists what a script has left: state, processes, mounts and
// cgroups. A process that was killed a moment ago is given time to go.
func leftovers(workDir, root, id string) []string {
	var found []string
	for range 40 {
		found = found[:0]
		if entries, err := os.ReadDir(root); err == nil {
			for _, e := range entries {
				if !strings.HasPrefix(e.Name(), ".") { // a runtime may keep what is no container's
					found = append(found, "state "+filepath.Join(root, e.Name()))
				}
			}
		}
		for _, pid := range processes(workDir, id) {
			found = append(found, "process "+strconv.Itoa(pid)+" "+commandLine(pid))
		}
		for _, m := range mounts("self", workDir) {
			found = append(found, "mount "+m)
		}
		for _, c := range cgroups(id) {
			found = append(found, "cgroup "+c)
		}
		for _, u := range units(id) {
			found = append(found, "unit "+u)
		}
		if len(found) == 0 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return found
}

// sweep removes what a failed script has left, so that the next one and this
// machine do not suffer.
func sweep(runtime, workDir, root, id string) {
	if entries, err := os.ReadDir(root); err == nil {
		for _, e := range entries {
			exec.Command("timeout", "20", runtime, "--root", root, "delete", "--force", e.Name()).Run()
		}
	}
	for _, c := range cgroups(id) { // a frozen process does not die
		os.WriteFile(filepath.Join(c, "cgroup.freeze"), []byte("0"), 0)
		os.WriteFile(filepath.Join(c, "freezer.state"), []byte("THAWED"), 0)
	}
	for _, pid := range processes(workDir, id) {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	time.Sleep(100 * time.Millisecond)
	for _, m := range mounts("self", workDir) {
		syscall.Unmount(m, syscall.MNT_DETACH)
	}
	for _, c := range cgroups(id) {
		os.Remove(c)
	}
}

// processes finds those that a script started: by the id or the folder in the
// command line or the cgroup, or by a root file system that lies in the folder.
func processes(workDir, id string) []int {
	var pids []int
	names, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range names {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if pid == os.Getpid() || pid == os.Getppid() {
			continue
		}
		cmdline, _ := os.ReadFile(dir + "/cmdline")
		cgroup, _ := os.ReadFile(dir + "/cgroup")
		if !strings.Contains(string(cmdline), id) && !strings.Contains(string(cmdline), workDir+"/") &&
			!strings.Contains(string(cgroup), id) && len(mounts(strconv.Itoa(pid), workDir)) == 0 {
			continue
		}
		if stat, err := os.ReadFile(dir + "/stat"); err != nil || strings.Contains(string(stat), ") Z ") {
			continue // gone, or its parent's to reap
		}
		pids = append(pids, pid)
	}
	return pids
}

func commandLine(pid int) string {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	return strings.ReplaceAll(string(b), "\x00", " ")
}

// mounts lists a process's mounts that lie in the folder or show part of it,
// the last mounted first.
func mounts(pid, workDir string) []string {
	var found []string
	info, _ := os.ReadFile("/proc/" + pid + "/mountinfo")
	for line := range strings.Lines(string(info)) {
		f := strings.Fields(line)
		// The folder may itself be on a mount: field 4 is relative to that file system, so compare the end.
		if len(f) > 4 && (strings.HasPrefix(f[4], workDir+"/") || strings.Contains(f[3], filepath.Base(filepath.Dir(workDir))+"/"+filepath.Base(workDir)+"/")) {
			found = append(found, f[4])
		}
	}
	slices.Reverse(found)
	return found
}

// cgroups lists the groups that carry the id, the deepest first.
func cgroups(id string) []string {
	var found []string
	filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.Contains(path, id) {
			found = append(found, path)
		}
		return nil
	})
	slices.Reverse(found)
	return found
}
