package image

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"ostia/internal/vm/initramfs"
	"ostia/internal/vm/kernel"
)

// wanted are the modules by folder of the initramfs. Those that are required
// carry the root and the agent's channel; without the others the guest lacks a
// convenience.
var wanted = []struct {
	folder   string
	names    []string
	required bool
}{
	{initramfs.Modules, []string{"virtio_mmio", "virtiofs", "vmw_vsock_virtio_transport"}, true},
	{initramfs.Modules, []string{"pvpanic_mmio", "virtio_rng"}, false},
	{initramfs.NetworkModules, []string{"virtio_net"}, false},
	{initramfs.LateModules, []string{"virtio_balloon", "virtio_console"}, false},
}

// modulesOf are the modules of a kernel that a guest loads, by folder.
func modulesOf(k kernel.Kernel) (map[string][]initramfs.Module, error) {
	s, err := newModules(k.Modules)
	if err != nil {
		return nil, err
	}
	all := map[string][]initramfs.Module{}
	for _, part := range wanted {
		for _, name := range part.names {
			before := len(s.order)
			if err := s.need(name); err != nil && (part.required || !errors.Is(err, errNoModule)) {
				return nil, fmt.Errorf("module %s: %w", name, err)
			}
			all[part.folder] = append(all[part.folder], s.order[before:]...)
		}
	}
	return all, nil
}

var errNoModule = errors.New("neither built in nor a file: the kernel cannot be a guest's")

// modules collects modules and what they depend on, by the .modinfo section of
// each: no modules.dep of depmod(8) is needed.
type modules struct {
	files   map[string]string // name -> path
	builtin map[string]bool
	order   []initramfs.Module
	done    map[string]bool
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
	if bytes.HasSuffix(content, []byte("~Module signature appended~"+initramfs.MarkEnd)) {
		return content[:len(content)-len(initramfs.MarkEnd)]
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
		content, err = unpackModule(path, content)
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
	s.order = append(s.order, initramfs.Module{Name: name, Content: unmarked(content)})
	return nil
}
