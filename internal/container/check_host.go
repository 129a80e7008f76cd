package container

import (
	"errors"
	"os"
	"slices"
	"strings"

	"ostia/entrypoint"
	"ostia/internal/file"
	"ostia/internal/plan"
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// host checks what a configuration asks of this host. Values that were refused
// already are zero.
func (c *check) host() {
	if _, err := compileSeccomp(c.spec); err != nil {
		c.add(err)
	}
	for i := range c.spec.Linux.Namespaces {
		if n := &c.spec.Linux.Namespaces[i]; n.Path != "" {
			fd, err := openNamespace(c.spec, n)
			c.refuse(element("linux.namespaces", i)+".path "+n.Path, err)
			unix.Close(fd)
		}
	}
	c.checkMounts()
	c.checkHooks()
	c.checkSysctl()
	c.checkLabels()
	if c.spec.Process != nil && c.spec.Process.NoNewPrivileges {
		if _, err := landlock(c.spec, c.spec.Process); err != nil {
			c.add(err)
		}
	}
	c.checkRlimits()
	c.checkMappings()
	if c.r.CgroupManager == "systemd" {
		c.checkScope()
	} else if _, err := c.r.resolveCgroup(c.spec.Linux.CgroupsPath, c.o.ID); err != nil {
		c.refuse("linux.cgroupsPath", err)
	}
	if c.spec.Root != nil && c.spec.Root.Path != "" {
		c.rootfs = absolute(c.bundle, c.spec.Root.Path)
		c.checkRootfs()
	}
	for _, err := range passedOver(c.spec.Process, c.spec.Linux.Resources) {
		c.add(err)
		c.list[len(c.list)-1].Warning = true
	}
}

// checkRootfs checks the root file system, and what is to run in it.
func (c *check) checkRootfs() {
	root, err := unix.Open(c.rootfs, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		c.refuse("root.path "+c.rootfs, err)
		return
	}
	defer unix.Close(root)
	p := c.spec.Process
	if p == nil || len(p.Args) == 0 || c.mountedOver() {
		return
	}
	credentials := entrypoint.Credentials{UID: p.User.UID, GID: p.User.GID, Groups: p.User.AdditionalGids, NoNewPrivs: p.NoNewPrivileges}
	if p.Capabilities != nil {
		credentials.Capabilities = p.Capabilities.Effective
	}
	if len(c.spec.Linux.UIDMappings) > 0 || os.Geteuid() != 0 {
		// Whose files these are depends on the mappings: what can be told is
		// whether they are there.
		credentials = entrypoint.Credentials{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
		if os.Geteuid() == 0 {
			credentials.Capabilities = 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH
		}
	}
	thread, err := entrypoint.Open(root, p.Cwd, credentials)
	if err != nil {
		return // a working directory that is not there is made, and a user may not take on another identity
	}
	defer thread.Close()
	if v := entrypoint.Judge(thread, entrypoint.ThisHost(), p.Args, p.Env); v.Status != 0 {
		v.Explain(&entrypoint.Tree{Root: root, Cwd: p.Cwd, Env: p.Env, Args: p.Args, Credentials: credentials})
		c.refuse("process.args[0]", v)
	}
}

// mountedOver reports whether the program may lie in a mount, or need what
// lies in one.
func (c *check) mountedOver() bool {
	p := c.spec.Process
	paths := append(entrypoint.Candidates(p.Args[0], p.Env), "/lib/x", "/lib64/x", "/usr/lib/x", "/usr/lib64/x", "/usr/bin/x")
	for i := range c.spec.Mounts {
		destination := strings.TrimSuffix(c.spec.Mounts[i].Destination, "/")
		for _, path := range paths {
			if path == destination || strings.HasPrefix(path, destination+"/") {
				return true
			}
		}
	}
	return false
}

// checkMounts checks types and sources.
func (c *check) checkMounts() {
	known, err := file.Read("/proc/filesystems")
	if err != nil {
		known = ""
	}
	for i := range c.spec.Mounts {
		m := &c.spec.Mounts[i]
		pointer := element("mounts", i)
		if isBind(m) {
			source := absolute(c.bundle, m.Source)
			c.refuse(pointer+" "+source, unix.Access(source, unix.F_OK))
			continue
		}
		if m.Type == "cgroup" || m.Type == "cgroup2" || known == "" || hasFileSystem(known, m.Type) {
			continue
		}
		c.refuse(pointer+" "+m.Type, unix.ENODEV)
		// The kernel may load a module for it.
		c.list[len(c.list)-1].Warning = m.Type != ""
	}
}

// hasFileSystem looks for a type in the text of /proc/filesystems.
func hasFileSystem(text, name string) bool {
	for line := range strings.Lines(text) {
		if _, known, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t"); ok && known == name {
			return true
		}
	}
	return false
}

// checkHooks checks that there is a program for each hook that runs on the
// host: those of createContainer and startContainer run in the container's
// namespaces, the last in its root.
func (c *check) checkHooks() {
	h := &c.spec.Hooks
	for _, kind := range [...]struct {
		name string
		list []spec.Hook
	}{
		{"hooks.prestart", h.Prestart}, {"hooks.createRuntime", h.CreateRuntime}, {"hooks.createContainer", h.CreateContainer},
		{"hooks.poststart", h.Poststart}, {"hooks.poststop", h.Poststop},
	} {
		for i := range kind.list {
			if path := kind.list[i].Path; strings.HasPrefix(path, "/") {
				c.refuse(element(kind.name, i)+" "+path, unix.Access(path, unix.X_OK))
			}
		}
	}
}

// checkSysctl checks that the kernel has those that may be set. Each namespace
// has the same.
func (c *check) checkSysctl() {
	for _, kv := range c.spec.Linux.Sysctl {
		refused := slices.ContainsFunc(c.list, func(p Problem) bool { return p.Pointer == "linux.sysctl."+kv.Key })
		if !refused && unix.Access("/proc/sys/"+plan.SysctlPath(kv.Key), unix.F_OK) == unix.ENOENT {
			c.refuse("linux.sysctl "+kv.Key, unix.ENOENT)
		}
	}
}

// checkLabels checks that the security modules that are to confine the
// container are there.
func (c *check) checkLabels() {
	p := c.spec.Process
	if p == nil {
		return
	}
	if p.ApparmorProfile != "" {
		if on, err := file.Read("/sys/module/apparmor/parameters/enabled"); err != nil || !strings.HasPrefix(on, "Y") {
			c.refuse("process.apparmorProfile", errors.New("this host has no AppArmor"))
		}
	}
	for _, label := range [...]struct{ pointer, value string }{{"process.selinuxLabel", p.SelinuxLabel}, {"linux.mountLabel", c.spec.Linux.MountLabel}} {
		if label.value != "" && unix.Access("/sys/fs/selinux/enforce", unix.F_OK) != nil {
			c.refuse(label.pointer, errors.New("this host has no SELinux: leave it out"))
		}
	}
}

// checkRlimits checks that hard limits are not above the caller's own, which
// takes CAP_SYS_RESOURCE.
func (c *check) checkRlimits() {
	if c.spec.Process == nil || canRaiseLimits() {
		return
	}
	for i, limit := range c.spec.Process.Rlimits {
		var own unix.Rlimit
		if limit.Type >= 0 && unix.Getrlimit(limit.Type, &own) == nil && limit.Hard > own.Max {
			c.refuse(element("process.rlimits", i)+" "+spec.RlimitName(limit.Type), unix.EPERM)
		}
	}
}

func canRaiseLimits() bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&hdr, &data[0]) == nil && data[0].Effective>>unix.CAP_SYS_RESOURCE&1 != 0
}

// checkMappings checks that this user may map the ids.
func (c *check) checkMappings() {
	l := &c.spec.Linux
	user := false
	for i := range l.Namespaces {
		user = user || l.Namespaces[i].Flag == unix.CLONE_NEWUSER
	}
	switch {
	case !user && os.Geteuid() != 0:
		c.refuse("linux.namespaces", errors.New("an ordinary user needs a user namespace (ostia spec --rootless)"))
	case !user || canMap():
	default:
		uid := os.Geteuid()
		c.refuse("linux.uidMappings", mayMap(l.UIDMappings, uid, uid, "newuidmap", "/etc/subuid"))
		c.refuse("linux.gidMappings", mayMap(l.GIDMappings, os.Getegid(), uid, "newgidmap", "/etc/subgid"))
	}
}
