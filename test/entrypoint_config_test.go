package test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"ostia/test/entrypoints"
)

type object = map[string]any

// engineCapabilities are those that Docker gives a container.
var engineCapabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
	"CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
}

// config is a bundle's configuration for a case: what an engine would write,
// with the tree's noexec folder.
func (b *entryPointBench) config(c *entrypoints.Case, terminal bool) object {
	var namespaces []object
	for _, kind := range []string{"pid", "ipc", "uts", "mount", "cgroup"} {
		namespaces = append(namespaces, object{"type": kind})
	}
	return object{
		"ociVersion": "1.2.0",
		"process":    processOf(c, terminal),
		"root":       object{"path": b.tree.Root},
		"mounts": []object{
			{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": []string{"nosuid", "mode=755"}},
			{"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": []string{"newinstance", "ptmxmode=0666", "mode=0620"}},
			{"destination": entrypoints.NoexecMountPoint, "type": "bind", "source": b.tree.Noexec, "options": []string{"bind", "noexec"}},
		},
		"linux": object{"namespaces": namespaces},
	}
}

// processOf is a case as a process object. Like an engine's, it has effective
// capabilities as root only.
func processOf(c *entrypoints.Case, terminal bool) object {
	cwd := c.Cwd
	if cwd == "" {
		cwd = "/"
	}
	groups := c.Groups
	if groups == nil {
		groups = []uint32{}
	}
	capabilities := object{"bounding": engineCapabilities}
	if c.UID == 0 {
		capabilities["effective"] = engineCapabilities
		capabilities["permitted"] = engineCapabilities
	}
	if c.NoCaps {
		capabilities = object{}
	}
	return object{
		"terminal":     terminal,
		"user":         object{"uid": c.UID, "gid": c.GID, "additionalGids": groups},
		"args":         c.Args,
		"env":          c.Environment(),
		"cwd":          cwd,
		"capabilities": capabilities,
	}
}

func writeJSON(t *testing.T, path string, value any) {
	t.Helper()
	check(t, os.MkdirAll(filepath.Dir(path), 0o755))
	b, err := json.Marshal(value)
	check(t, err)
	check(t, os.WriteFile(path, b, 0o644))
}
