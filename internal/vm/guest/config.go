// Package guest makes the configuration of the container inside the guest from
// that of the container on the host: what the host has done already is left
// out, and what only the guest's kernel can do stays.
package guest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"ostia/internal/plan"
)

// Root is where the guest mounts the container's tree of the host, and Tree
// where it has that once more, without what is mounted on Root after that.
const (
	Root = "/host"
	Tree = "/tree"
)

// Config is the configuration for the guest, and the sysctls of its network.
// resolve gives the place in the container's tree that a path leads to, as the
// host sees it, and hostname is that of the container's namespace, which may be
// a pod's.
func Config(host []byte, hostname string, resolve func(string) (string, error)) ([]byte, []Sysctl, error) {
	d := json.NewDecoder(bytes.NewReader(host))
	d.UseNumber() // a 64-bit rlimit is no float64
	var c map[string]any
	if err := d.Decode(&c); err != nil {
		return nil, nil, fmt.Errorf("config: %w", err)
	}
	// The host's hooks have run there; its annotations are for its runtime.
	for _, key := range []string{"hooks", "annotations", "vm"} {
		delete(c, key)
	}
	root := object(c, "root")
	root["path"] = Root
	mounts, err := mounts(list(c["mounts"]), resolve)
	if err != nil {
		return nil, nil, err
	}
	c["mounts"] = mounts
	c["hostname"] = hostname
	linux(object(c, "linux"))
	sysctls := networkSysctls(object(object(c, "linux"), "sysctl"))
	process(object(c, "process"))
	text, err := json.Marshal(c)
	return text, sysctls, err
}

// Process is the process object of an exec for the guest.
func Process(text string) (string, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var p map[string]any
	if err := d.Decode(&p); err != nil {
		return "", fmt.Errorf("process: %w", err)
	}
	process(p)
	b, err := json.Marshal(p)
	return string(b), err
}

// process leaves out what is the host's: its security modules, and CPUs by the
// host's numbers.
func process(p map[string]any) {
	for _, key := range []string{"apparmorProfile", "selinuxLabel", "execCPUAffinity", "consoleSize"} {
		delete(p, key)
	}
}

// linux keeps namespaces of the guest's kernel. The user namespace's ids are
// what the tree shows already, and the network is the guest's own.
func linux(l map[string]any) {
	for _, key := range []string{"uidMappings", "gidMappings", "cgroupsPath", "rootfsPropagation", "mountLabel", "intelRdt", "netDevices"} {
		delete(l, key)
	}
	var kept []any
	for _, n := range list(l["namespaces"]) {
		m, _ := n.(map[string]any)
		switch m["type"] {
		case "user", "network":
			continue
		}
		kept = append(kept, map[string]any{"type": m["type"]})
	}
	for _, always := range []string{"pid", "mount", "uts"} {
		if !hasType(kept, always) {
			kept = append(kept, map[string]any{"type": always})
		}
	}
	l["namespaces"] = kept
	resources := map[string]any{}
	r, _ := l["resources"].(map[string]any)
	// The host sees one process, and none of the guest's devices.
	for _, key := range []string{"pids", "devices"} {
		if r[key] != nil {
			resources[key] = r[key]
		}
	}
	l["resources"] = resources
}

// networkSysctls takes out what the runtime in the guest has no namespace for.
func networkSysctls(all map[string]any) (s []Sysctl) {
	for key, v := range all {
		path := plan.SysctlPath(key)
		if value, ok := v.(string); ok && strings.HasPrefix(path, "net/") {
			s = append(s, Sysctl{path, value})
			delete(all, key)
		}
	}
	return s
}

func hasType(namespaces []any, typ string) bool {
	for _, n := range namespaces {
		if m, _ := n.(map[string]any); m["type"] == typ {
			return true
		}
	}
	return false
}

// mounts keeps the file systems of the guest's kernel, and those bind mounts
// that lie below one of them or whose attributes the guest must hold itself.
// All others are in the container's tree already.
func mounts(all []any, resolve func(string) (string, error)) ([]any, error) {
	kept := []any{}
	var own []string // where the guest's file systems are
	for i, v := range all {
		m, ok := v.(map[string]any)
		if !ok {
			continue
		}
		dest, _ := m["destination"].(string)
		at, err := resolve(dest)
		if err != nil {
			return nil, fmt.Errorf("mounts[%d] %s: %w", i, dest, err)
		}
		if kernels(m) {
			own = append(own, at)
			kept = append(kept, m)
			continue
		}
		attributes := attributes(m)
		if len(attributes) == 0 && !below(at, own) {
			continue
		}
		kept = append(kept, map[string]any{
			"destination": at, "type": "bind", "source": path.Join(Tree, at), "options": append([]any{"bind"}, attributes...),
		})
	}
	return kept, nil
}

// kernels reports whether a mount is a file system that the guest makes.
func kernels(m map[string]any) bool {
	for _, o := range list(m["options"]) {
		if o == "bind" || o == "rbind" {
			return false
		}
	}
	switch m["type"] {
	case "proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2", "ramfs":
		return true
	}
	return false
}

// attributes are the options that the guest's kernel enforces.
func attributes(m map[string]any) (kept []any) {
	for _, o := range list(m["options"]) {
		switch o {
		case "ro", "nosuid", "nodev", "noexec", "nosymfollow":
			kept = append(kept, o)
		}
	}
	return kept
}

func below(at string, places []string) bool {
	for _, p := range places {
		if at == p || strings.HasPrefix(at, strings.TrimSuffix(p, "/")+"/") {
			return true
		}
	}
	return false
}

func object(parent map[string]any, key string) map[string]any {
	o, ok := parent[key].(map[string]any)
	if !ok {
		o = map[string]any{}
		parent[key] = o
	}
	return o
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}
