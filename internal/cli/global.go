package cli

import (
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"ostia/internal/container"
)

// globalFlags may stand before the command or among its flags.
var globalFlags = [...]flag{
	{name: "root", kind: text, value: "DIR", help: "keep the containers' state below DIR (default /run/ostia, or $XDG_RUNTIME_DIR/ostia for an ordinary user)"},
	{name: "log", kind: text, value: "FILE", help: "append what goes wrong to FILE, or tell the journal (journald:NAME) or syslog:NAME (default: only standard error)"},
	{name: "log-format", kind: text, value: "FORMAT", help: "text (default) or json"},
	{name: "log-level", kind: text, value: "LEVEL", help: "debug, which tells the steps of create, run and exec, info, warning (default) or error, which leaves out warnings"},
	{name: "debug", kind: boolean, help: "the same as --log-level debug"},
	{name: "cgroup-manager", kind: text, value: "MANAGER", help: "cgroupfs (default), systemd or disabled"},
	{name: "systemd-cgroup", kind: boolean, help: "the same as --cgroup-manager systemd: a scope made by systemd, linux.cgroupsPath is SLICE:PREFIX:NAME"},
	{name: "rootless", kind: text, value: "BOOL", help: "go on without the cgroups that may not be made: true, false or auto (default)"},
	{name: "handler", kind: text, value: "HANDLER", help: "namespaces, or vm: a virtual machine of its own (default: what the annotation org.ostia.handler or run.oci.handler says; vm when called as krun or ostia-vm)"},
	{name: "criu", kind: text, value: "FILE", help: "does nothing, as in runc"},
	{name: "version", short: 'v', kind: boolean, help: "print the version"},
	{name: "help", short: 'h', kind: boolean, help: "print this help, or the help of the command"},
}

// newRuntime is what the global flags say of where state and cgroups are.
func newRuntime(in *invocation) (*container.Runtime, error) {
	r := &container.Runtime{CgroupManager: "cgroupfs", Criu: in.criu, Warn: in.warn}
	if l := in.text("log-level"); in.is("debug") || l == "debug" || l == "trace" {
		r.Debug = in.debug
	}
	switch m := in.text("cgroup-manager"); m {
	case "", "cgroupfs":
	case "disabled", "systemd":
		r.CgroupManager = m
	default:
		return nil, usageError("--cgroup-manager " + m + ": unknown: use cgroupfs, systemd or disabled")
	}
	if in.is("systemd-cgroup") {
		r.CgroupManager = "systemd"
	}
	switch v := in.text("rootless"); {
	case v == "" || strings.EqualFold(v, "auto"):
		r.Rootless = "auto"
	default:
		b, ok := truth(v)
		if !ok {
			return nil, usageError("--rootless " + v + ": use true, false or auto")
		}
		r.Rootless = "false"
		if b {
			r.Rootless = "true"
		}
	}
	switch h := in.text("handler"); h {
	case "":
		if in.program == "krun" || in.program == "ostia-vm" {
			r.Handler = container.HandlerMachine
		}
	case container.HandlerNamespaces, container.HandlerMachine:
		r.Handler = h
	default:
		return nil, usageError("--handler " + h + ": unknown: use namespaces or vm")
	}
	root, err := stateRoot(in)
	r.Root = root
	return r, err
}

// stateRoot is the absolute path of the folder that holds all state.
func stateRoot(in *invocation) (string, error) {
	if !in.given("root") {
		return defaultRoot(), nil
	}
	if in.text("root") == "" {
		return "", usageError("--root: its value is empty: name a folder")
	}
	root, err := filepath.Abs(in.text("root"))
	if err != nil {
		return "", &failure{"--root " + in.text("root"), err}
	}
	if root == "/" {
		return "", usageError("--root " + in.text("root") + ": must not be /")
	}
	return root, nil
}

// defaultRoot is below $XDG_RUNTIME_DIR for an ordinary user and for the root
// of a user namespace, as with runc: there /run belongs to somebody else.
func defaultRoot() string {
	dir, ok := unix.Getenv("XDG_RUNTIME_DIR")
	if !ok || dir == "" {
		return "/run/ostia"
	}
	if unix.Geteuid() == 0 {
		user, ok := unix.Getenv("USER")
		if ok && user == "root" || !inUserNamespace() {
			return "/run/ostia"
		}
	}
	return dir + "/ostia"
}

// inUserNamespace reports whether uid 0 here is not the host's uid 0: the
// first namespace maps every id to itself (user_namespaces(7)).
func inUserNamespace() bool {
	fd, err := unix.Open("/proc/self/uid_map", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var line [128]byte
	n, _ := unix.Read(fd, line[:])
	f := strings.Fields(string(line[:max(n, 0)]))
	return len(f) != 3 || f[0] != "0" || f[1] != "0" || f[2] != "4294967295"
}
