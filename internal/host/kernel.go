package host

import (
	"os"
	"strconv"
	"strings"

	"ostia/internal/file"
	"ostia/internal/linux"

	"golang.org/x/sys/unix"
)

func (e *examination) kernel() {
	e.topic = "kernel"
	release, level := kernelRelease(), OK
	if compareVersions(release, "5.14") < 0 {
		level = Missing
	}
	e.add("version", level, release, "ostia needs Linux 5.14 or later: it kills a cgroup at once and sets the attributes of mounts")
	e.has("entry point check", linux.HasExecveCheck(), Absent, "before Linux 6.14 whether the entry point may be executed is known only when it is: create may succeed, and start report it")
	e.has("mount namespace of a tree", linux.HasOpenTreeNamespace(), Absent, "before Linux 7.0 a container's mount namespace begins as a copy of all of the host's mounts, which takes time where there are very many")
	user := exists("/proc/self/ns/user") && number("/proc/sys/user/max_user_namespaces") != 0
	e.has("user namespaces", user, levelFor(os.Geteuid() == 0), "set sysctl user.max_user_namespaces above 0: ordinary users need one, and so does every linux.uidMappings")
	if os.Geteuid() != 0 {
		restricted := number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1 || number("/proc/sys/kernel/unprivileged_userns_clone") == 0
		e.has("user namespaces for users", !restricted, Missing, "set sysctl kernel.apparmor_restrict_unprivileged_userns=0, or kernel.unprivileged_userns_clone=1 where there is that")
	}
	e.has("time namespaces", exists("/proc/self/ns/time"), Absent, "linux.timeOffsets cannot be used (Linux 5.6, CONFIG_TIME_NS)")
	e.has("seccomp filters", exists("/proc/sys/kernel/seccomp/actions_avail"), Absent, "linux.seccomp cannot be used: nearly every engine asks for it (CONFIG_SECCOMP_FILTER)")
	e.has("overlay", inFileSystems("overlay"), Absent, "engines then copy every image layer: load the module overlay (modprobe overlay)")
	e.has("FUSE", exists("/dev/fuse"), Absent, "an ordinary user's engine may need it for fuse-overlayfs: load the module fuse (modprobe fuse)")
	if abi, err := linux.Landlock(); err == nil {
		e.add("Landlock", OK, "ABI "+strconv.Itoa(abi), "")
	} else {
		e.add("Landlock", Absent, "no", "the annotations org.ostia.landlock.* cannot be used: add landlock to the kernel's parameter lsm=")
	}
	switch on, _ := file.Read("/sys/module/apparmor/parameters/enabled"); {
	case strings.HasPrefix(on, "Y"):
		e.add("security module", OK, "AppArmor", "")
	case exists("/sys/fs/selinux/enforce"):
		e.add("security module", OK, "SELinux", "")
	default:
		e.add("security module", Absent, "neither AppArmor nor SELinux", "process.apparmorProfile and process.selinuxLabel cannot be used: leave them out")
	}
}

func levelFor(absent bool) Level {
	if absent {
		return Absent
	}
	return Missing
}

func kernelRelease() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}

// inFileSystems looks into /proc/filesystems.
func inFileSystems(name string) bool {
	text, err := file.Read("/proc/filesystems")
	return err == nil && strings.Contains(text, "\t"+name+"\n")
}

// compareVersions compares numbers that are separated by dots, as far as both
// have them and they are numbers.
func compareVersions(a, b string) int {
	for a != "" && b != "" {
		x, restA, okA := leadingNumber(a)
		y, restB, okB := leadingNumber(b)
		if !okA || !okB {
			return 0
		}
		if x != y {
			return x - y
		}
		if restA == "" || restA[0] != '.' || restB == "" || restB[0] != '.' {
			return 0
		}
		a, b = restA[1:], restB[1:]
	}
	return 0
}

func leadingNumber(s string) (n int, rest string, ok bool) {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	n, err := strconv.Atoi(s[:i])
	return n, s[i:], err == nil
}
