package container

import (
	"errors"
	"strings"

	"ostia/entrypoint"
	"ostia/internal/cgroup"
	"ostia/internal/json"
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// AdviceDescriptors is what to do when no descriptor is left (EMFILE).
const AdviceDescriptors = "raise the limit of open files (ulimit -n)"

const (
	adviceMemory = "raise linux.resources.memory.limit, or have the program use less"
	adviceHook   = "run the hook by hand, with the state of the container on its standard input"
	adviceCheck  = "correct it; ostia check shows every problem of the bundle at once"
)

// advice is what to do about an error, in a sentence without a capital: "" for
// nothing better than the error itself says. pointer is the member of
// config.json that it is about.
func advice(err error, pointer string) string {
	var verdict *entrypoint.Verdict
	var text *json.Error
	var hook *hookError
	switch {
	case errors.As(err, &verdict):
		if verdict.Status == entrypoint.NotFound {
			return "correct process.args[0], or put the file that is missing into the image"
		}
		return "make the file one that the user of the container can execute, or correct process.args[0]"
	case errors.As(err, &hook):
		return adviceHook
	case err == errKilledEarly:
		return adviceMemory
	case errors.As(err, &text):
		return adviceCheck
	case errors.Is(err, cgroup.ErrNotPermitted) && strings.HasPrefix(pointer, "linux.resources"), pointer == "linux.cgroupsPath":
		return "ostia doctor shows which cgroups this user may make, and how to get more"
	}
	var config *spec.Error
	var errno unix.Errno
	switch {
	case errors.As(err, &errno):
		return adviceErrno(errno, pointer)
	case errors.As(err, &config):
		return adviceCheck
	}
	return ""
}

// adviceErrno is what to do about a system call that failed.
func adviceErrno(e unix.Errno, pointer string) string {
	member, _, _ := strings.Cut(pointer, "[")
	switch {
	case member == "mounts" && e == unix.ENOENT:
		return "make the source of the mount, or correct " + pointer + ".source"
	case member == "mounts" && e == unix.ENODEV:
		return "the kernel does not know this type of file system (/proc/filesystems): correct " + pointer + ".type, or load its module"
	case member == "mounts" && e == unix.EINVAL:
		return "correct " + pointer + ".options: the file system, or the kernel, refuses one"
	case member == "mounts" && e == unix.EPERM:
		return "a user namespace may not do this mount: bind it from the host (\"type\": \"bind\"), or leave it out"
	case strings.HasPrefix(member, "hooks.") && e == unix.ENOENT:
		return "put the program there, or correct " + pointer + ".path"
	case pointer == "root.path" && e == unix.ENOENT:
		return "make the folder, or correct root.path: it is taken from the bundle"
	case pointer == "linux.sysctl" && e == unix.ENOENT:
		return "this kernel has no such sysctl: leave it out, or load the module that brings it"
	case pointer == "process.apparmorProfile":
		return "load the profile (apparmor_parser), or leave process.apparmorProfile out where the host has no AppArmor"
	case pointer == "process.scheduler" && e == unix.EPERM:
		return "real time takes CAP_SYS_NICE, and on cgroup v1 a linux.resources.cpu.realtimeRuntime"
	case member == "process.rlimits" && e == unix.EPERM:
		return "a hard limit above the caller's needs CAP_SYS_RESOURCE: lower it, or raise the caller's (ulimit -H)"
	case e == unix.EMFILE:
		return AdviceDescriptors
	case e == unix.EPERM || e == unix.EACCES:
		return "ostia doctor shows what this host and user allow"
	case e == unix.ENOSYS || e == unix.EINVAL:
		return "ostia doctor shows what this kernel has"
	}
	return ""
}
