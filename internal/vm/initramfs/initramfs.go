// Package initramfs makes the guest's first file system: the agent as /init and
// the modules that the kernel has not built in, in the order in which they
// load. What differs from container to container comes in a second archive.
package initramfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"ostia/internal/vm/kernel"
)

// Modules is the folder of the modules, which the agent loads in the order of
// their names; NetworkModules that of those which a guest with a network takes
// besides; LateModules that of those which can wait until the entry point runs;
// and Config the file of the second archive.
const (
	Modules        = "m"
	NetworkModules = "n"
	LateModules    = "l"
	Config         = "machine.json"
	MarkEnd        = "\n" // left out of the mark of a signed module
)

// required modules carry the root and the agent's channel; without the others
// the guest lacks a convenience.
var required = []string{"virtio_mmio", "virtiofs", "vmw_vsock_virtio_transport"}
var optional = []string{"pvpanic_mmio", "virtio_rng"}
var network = []string{"virtio_net"}
var late = []string{"virtio_balloon"}

// Make builds the archive from the agent's program and the kernel's modules.
func Make(agent []byte, k kernel.Kernel) ([]byte, error) {
	var a archive
	for _, d := range []string{"dev", "proc", "sys", "run", "tmp", Modules, NetworkModules, LateModules} {
		a.add(d, folder|0o755, 0, 0, nil)
	}
	// The kernel opens the console for init, and the Go runtime opens null for
	// what is missing of descriptors 0 to 2.
	a.add("dev/console", device|0o600, 5, 1, nil)
	a.add("dev/null", device|0o666, 1, 3, nil)
	a.add("init", file|0o755, 0, 0, agent)
	s, err := newModules(k.Modules)
	if err != nil {
		return nil, err
	}
	for _, part := range []struct {
		folder  string
		names   []string
		without bool // the guest lacks a convenience then
	}{{Modules, required, false}, {Modules, optional, true}, {NetworkModules, network, true}, {LateModules, late, true}} {
		for _, m := range part.names {
			before := len(s.order)
			if err := s.need(m); err != nil && !(part.without && errors.Is(err, errNoModule)) {
				return nil, fmt.Errorf("guest kernel %s: module %s: %w", k.Path, m, err)
			}
			for i, m := range s.order[before:] {
				a.add(fmt.Sprintf("%s/%02d-%s", part.folder, before+i, m.name), file|0o644, 0, 0, m.content)
			}
		}
	}
	return a.bytes(), nil
}

// Extra is the second archive, which holds a container's configuration.
func Extra(config []byte) []byte {
	var a archive
	a.add(Config, file|0o600, 0, 0, config)
	return a.bytes()
}

var errNoModule = errors.New("neither built in nor a file: the kernel cannot be a guest's")

// modules collects modules and what they depend on, by the .modinfo section of
// each: no modules.dep of depmod(8) is needed.
type modules struct {
	files   map[string]string // name -> path
	builtin map[string]bool
	order   []module
	done    map[string]bool
}

type module struct {
	name    string
	content []byte
}

func newModules(dir string) (*modules, error) {
	s := &modules{files: map[string]string{}, builtin: map[string]bool{}, done: map[string]bool{}}
	if dir == "" {
		return s, nil
	}
	list, err := os.ReadFile(filepath.Join(dir, "modules.builtin"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for line := range strings.Lines(string(list)) {
		s.builtin[moduleName(strings.TrimSpace(line))] = true
	}
	err = filepath.WalkDir(filepath.Join(dir, "kernel"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.Contains(d.Name(), ".ko") {
			s.files[moduleName(path)] = path
		}
		return err
	})
	return s, err
}

// moduleName is as the kernel spells it: "-" and "_" are the same.
func moduleName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// unmarked leaves out the last byte of a module's signature mark, without which
// a kernel does not look for the signature: to verify one takes longer than all
// else that loading does, and the modules are as good as the kernel beside them.
// A kernel that insists gets the byte (Documentation/admin-guide/module-signing.rst).
func unmarked(content []byte) []byte {
	if bytes.HasSuffix(content, []byte("~Module signature appended~"+MarkEnd)) {
		return content[:len(content)-len(MarkEnd)]
	}
	return content
}

// need adds a module, after those that it needs.
func (s *modules) need(name string) error {
	if s.done[name] || s.builtin[name] {
		return nil
	}
	path, ok := s.files[name]
	if !ok {
		return errNoModule
	}
	s.done[name] = true
	content, err := os.ReadFile(path)
	if err == nil {
		content, err = kernel.Module(path, content)
	}
	if err != nil {
		return err
	}
	depends, err := dependencies(content)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, d := range depends {
		if err := s.need(d); err != nil {
			return fmt.Errorf("it needs %s: %w", d, err)
		}
	}
	s.order = append(s.order, module{name, unmarked(content)})
	return nil
}
