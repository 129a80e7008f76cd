package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// condition answers a script's [condition]:
//
//	cgroup2            /sys/fs/cgroup is cgroup v2
//	controller:NAME    a cgroup controller that a container can use
//	landlock           the kernel has Landlock
//	kernel:X.Y         the kernel is at least that
//	guest              in the guest
//	criu               CRIU works here ("criu check")
//	criu:X.Y           it is at least that version
//	capability:N       this process has that capability in its bounding set
//	blockdevice        there is a block device
//	file:PATH          there is such a file
//	runtime:NAME       what RUNTIME calls itself
func condition(name string) (bool, error) {
	kind, arg, _ := strings.Cut(name, ":")
	switch kind {
	case "criu":
		criu := filepath.Join(criuFolder(), "criu")
		if arg == "" {
			return exec.Command(criu, "check").Run() == nil, nil
		}
		out, err := exec.Command(criu, "--version").Output()
		version, _ := strings.CutPrefix(string(out), "Version: ")
		if err != nil {
			return false, err
		}
		return atLeast(version, arg)
	case "cgroup2":
		return cgroup2(), nil
	case "controller":
		return controller(arg), nil
	case "landlock":
		const createRuleset, version = 444, 1
		_, _, errno := syscall.Syscall(createRuleset, 0, 0, version)
		return errno == 0, nil
	case "kernel":
		return kernelAtLeast(arg)
	case "guest":
		return os.Getenv("OSTIA_GUEST") != "", nil
	case "capability":
		return capability(arg)
	case "blockdevice":
		found, err := filepath.Glob("/sys/block/*/dev")
		return len(found) > 0, err
	case "file":
		return fileExists(arg), nil
	case "runtime":
		out, err := exec.Command(os.Getenv("RUNTIME"), "--version").Output()
		return strings.HasPrefix(string(out), arg), err
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

// criuFolder is where test/deps puts CRIU, which is not installed; CRIU_FOLDER names another,
// as that for the newest kernel (guest -newest).
func criuFolder() string {
	if dir := os.Getenv("CRIU_FOLDER"); dir != "" {
		return dir
	}
	return filepath.Join(os.Getenv("OSTIA_CACHE"), "criu/usr/sbin")
}

func cgroup2() bool {
	const magic = 0x63677270 // CGROUP2_SUPER_MAGIC
	var s syscall.Statfs_t
	return syscall.Statfs("/sys/fs/cgroup", &s) == nil && s.Type == magic
}

func controller(name string) bool {
	if cgroup2() {
		b, _ := os.ReadFile("/sys/fs/cgroup/cgroup.controllers")
		return slices.Contains(strings.Fields(string(b)), name)
	}
	return fileExists("/sys/fs/cgroup/" + name + "/tasks")
}

func kernelAtLeast(version string) (bool, error) {
	release := os.Getenv("LIKE_KERNEL")
	if release == "" {
		var u syscall.Utsname
		if err := syscall.Uname(&u); err != nil {
			return false, err
		}
		for _, c := range u.Release {
			release += string(rune(c))
		}
	}
	return atLeast(release, version)
}

func atLeast(have, want string) (bool, error) {
	var major, minor, wantMajor, wantMinor int
	if _, err := fmt.Sscanf(have, "%d.%d", &major, &minor); err != nil {
		return false, err
	}
	if _, err := fmt.Sscanf(want, "%d.%d", &wantMajor, &wantMinor); err != nil {
		return false, err
	}
	return major > wantMajor || major == wantMajor && minor >= wantMinor, nil
}

func capability(number string) (bool, error) {
	n, err := strconv.Atoi(number)
	if err != nil {
		return false, err
	}
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false, err
	}
	_, rest, _ := strings.Cut(string(b), "CapBnd:\t")
	set, err := strconv.ParseUint(strings.SplitN(rest, "\n", 2)[0], 16, 64)
	return set>>n&1 == 1, err
}
