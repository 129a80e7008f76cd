// Package image makes what a machine boots from, of a kernel that is installed
// on the host: the ELF file that the monitor loads, and the guest's first file
// system. That takes seconds and is done once for each kernel, so it is in a
// program of its own, with the decompressors that it needs: what they take to
// initialize is not paid by every boot.
package image

import (
	"errors"
	"os"
	"path/filepath"

	"ostia/internal/vm/initramfs"
	"ostia/internal/vm/kernel"
)

// Make makes the files in a folder, of a kernel and the agent's program.
func Make(folder string, k kernel.Kernel, agent string) error {
	w, err := os.Create(filepath.Join(folder, kernel.Unpacked))
	if err != nil {
		return err
	}
	holes := &sparse{file: w}
	packed, err := unpackKernel(holes, k)
	if err == nil {
		err = w.Truncate(holes.at)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		return err
	}
	if !packed {
		if err := os.Remove(w.Name()); err != nil {
			return err
		}
	}
	program, err := os.ReadFile(agent)
	if err != nil {
		return err
	}
	path := filepath.Join(folder, kernel.Initrd)
	if k.Bare {
		return makeRoot(path, program)
	}
	modules, err := modulesOf(k)
	if err != nil {
		return err
	}
	return os.WriteFile(path, initramfs.Make(program, modules), 0o600)
}

// makeRoot makes the root of a guest whose kernel takes no initramfs.
func makeRoot(root string, agent []byte) error {
	for _, d := range []string{"", "dev", "proc", "sys", "run", "tmp"} {
		if err := os.Mkdir(filepath.Join(root, d), 0o755); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(root, "init"), agent, 0o755)
}
