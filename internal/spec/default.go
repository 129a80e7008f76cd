package spec

import "ostia/internal/json"

// defaultCapabilities are those of a container that asks for none in
// particular.
var defaultCapabilities = []string{"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"}

// Default is the text of a config.json to begin with: a shell in the folder
// rootfs, as runc spec and crun spec write it. For rootless, host ids uid and
// gid become the container's root. A cgroup namespace is asked for where the
// host has cgroup v2.
func Default(rootless, cgroup2 bool, uid, gid uint32) []byte {
	e := json.NewEncoder("\t")
	e.Object(func() {
		e.Key("ociVersion").String(Version)
		e.Key("process").Object(func() { defaultProcess(e) })
		e.Key("root").Object(func() {
			e.Key("path").String("rootfs")
			e.Key("readonly").Bool(true)
		})
		e.Key("hostname").String("ostia")
		e.Key("mounts").Array(func() { defaultMounts(e, rootless) })
		e.Key("linux").Object(func() { defaultLinux(e, rootless, cgroup2, uid, gid) })
	})
	return append(e.Bytes(), '\n')
}

func defaultProcess(e *json.Encoder) {
	e.Key("terminal").Bool(true)
	e.Key("user").Object(func() {
		e.Key("uid").Int(0)
		e.Key("gid").Int(0)
	})
	e.Key("args").Strings([]string{"sh"})
	e.Key("env").Strings([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"})
	e.Key("cwd").String("/")
	e.Key("capabilities").Object(func() {
		for _, set := range [...]string{"bounding", "effective", "permitted"} {
			e.Key(set).Strings(defaultCapabilities)
		}
	})
	e.Key("rlimits").Array(func() {
		e.Object(func() {
			e.Key("type").String("RLIMIT_NOFILE")
			e.Key("hard").Int(1024)
			e.Key("soft").Int(1024)
		})
	})
	e.Key("noNewPrivileges").Bool(true)
}

func defaultMounts(e *json.Encoder, rootless bool) {
	mount := func(dest, typ, source string, options ...string) {
		e.Object(func() {
			e.Key("destination").String(dest)
			e.Key("type").String(typ)
			e.Key("source").String(source)
			if len(options) > 0 {
				e.Key("options").Strings(options)
			}
		})
	}
	mount("/proc", "proc", "proc")
	mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k")
	if rootless { // gid 5, tty, is not mapped
		mount("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620")
	} else {
		mount("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")
	}
	mount("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k")
	mount("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev")
	if rootless { // the host's network namespace owns its sysfs
		mount("/sys", "none", "/sys", "rbind", "nosuid", "noexec", "nodev", "ro")
	} else {
		mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro")
		mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro")
	}
}

func defaultLinux(e *json.Encoder, rootless, cgroup2 bool, uid, gid uint32) {
	mapping := func(id uint32) {
		e.Array(func() {
			e.Object(func() {
				e.Key("containerID").Int(0)
				e.Key("hostID").Uint(uint64(id))
				e.Key("size").Int(1)
			})
		})
	}
	if rootless {
		e.Key("uidMappings")
		mapping(uid)
		e.Key("gidMappings")
		mapping(gid)
	} else {
		e.Key("resources").Object(func() {
			e.Key("devices").Array(func() {
				e.Object(func() {
					e.Key("allow").Bool(false)
					e.Key("access").String("rwm")
				})
			})
		})
	}
	namespaces := []string{"pid", "ipc", "uts", "mount"}
	if rootless {
		namespaces = append(namespaces, "user")
	} else {
		namespaces = append(namespaces, "network")
	}
	if cgroup2 {
		namespaces = append(namespaces, "cgroup")
	}
	e.Key("namespaces").Array(func() {
		for _, kind := range namespaces {
			e.Object(func() { e.Key("type").String(kind) })
		}
	})
	e.Key("maskedPaths").Strings([]string{"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"})
	e.Key("readonlyPaths").Strings([]string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"})
}
