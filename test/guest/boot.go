package main

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The modules that reach the root file system and the virtual serial ports.
// Debian's cloud kernel has none of them built in.
var bootModules = []string{"virtio_pci", "virtio_console", "virtiofs", "overlay"}

//go:embed init
var initScript []byte

// systemdScript is the part of init for a guest with systemd.
//
//go:embed systemd
var systemdScript []byte

// boot is what a guest starts from.
type boot struct {
	kernel  string // uncompressed: QEMU then needs no decompression at 1/20 of native speed
	initrd  string
	modules string // folder to appear as /lib/modules
	systemd string // archive of Debian's systemd
	root    string // what is laid over this machine's root, for another architecture
}

// prepareBoot unpacks the kernel and packs the initrd, once per kernel and
// scripts: two clones with different ones may share a cache.
func prepareBoot(cache, arch string) (boot, error) {
	tree := filepath.Join(cache, "linux-image-cloud-"+arch)
	images, _ := filepath.Glob(filepath.Join(tree, "boot", "vmlinuz-*"))
	if len(images) != 1 {
		return boot{}, fmt.Errorf("no kernel in %s", tree)
	}
	version := strings.TrimPrefix(filepath.Base(images[0]), "vmlinuz-")
	b := boot{
		kernel:  filepath.Join(tree, "vmlinux"),
		initrd:  filepath.Join(tree, fmt.Sprintf("initrd-%08x", crc32.ChecksumIEEE(slices.Concat(initScript, systemdScript)))),
		modules: filepath.Join(tree, "lib", "modules"),
		systemd: filepath.Join(cache, "systemd", "tree.tar"),
	}
	if arch == "arm64" {
		b.kernel = images[0] // there it is an uncompressed Image
		b.root = filepath.Join(cache, "root")
	} else if err := once(b.kernel, func() ([]byte, error) { return unpackKernel(images[0]) }); err != nil {
		return b, err
	}
	err := once(b.initrd, func() ([]byte, error) { return packInitrd(cache, tree, version) })
	return b, err
}

// once makes a file whole or not at all, unless it is there. Several guests may
// do so at a time.
func once(path string, content func() ([]byte, error)) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	data, err := content()
	if err != nil {
		return err
	}
	tmp := path + ".new-" + strconv.Itoa(os.Getpid())
	if err := os.WriteFile(tmp, data, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// unpackKernel finds the compressed kernel in a bzImage by its setup header
// (Documentation/arch/x86/boot.rst) and unpacks it.
func unpackKernel(image string) ([]byte, error) {
	data, err := os.ReadFile(image)
	if err != nil {
		return nil, err
	}
	const setupSects, magic, payloadOffset, payloadLength = 0x1f1, 0x202, 0x248, 0x24c
	if len(data) < payloadLength+4 || string(data[magic:magic+4]) != "HdrS" {
		return nil, fmt.Errorf("%s: not a bzImage", image)
	}
	sectors := int(data[setupSects])
	if sectors == 0 {
		sectors = 4
	}
	start := (sectors+1)*512 + int(binary.LittleEndian.Uint32(data[payloadOffset:]))
	end := start + int(binary.LittleEndian.Uint32(data[payloadLength:]))
	if start > end || end > len(data) {
		return nil, fmt.Errorf("%s: the payload lies outside the file", image)
	}
	payload := data[start:end]
	// The kernel's build appends the unpacked size, which is no part of the compressed stream.
	for _, c := range []struct{ magic, tool string }{
		{"\x02\x21\x4c\x18", "lz4"}, {"\x28\xb5\x2f\xfd", "zstd"}, {"\xfd7zXZ\x00", "xz"}, {"\x1f\x8b", "gzip"},
	} {
		if !strings.HasPrefix(string(payload), c.magic) {
			continue
		}
		cmd := exec.Command(c.tool, "-dc")
		cmd.Stdin = bytes.NewReader(payload)
		var complaint bytes.Buffer
		cmd.Stderr = &complaint
		// The appended size makes some tools complain at the end: the ELF header is what counts.
		out, err := cmd.Output()
		if bytes.HasPrefix(out, []byte("\x7fELF")) {
			return out, nil
		}
		return nil, fmt.Errorf("%s: unpacking with %s: %w %s", image, c.tool, err, complaint.String())
	}
	return nil, fmt.Errorf("%s: unknown compression % x", image, payload[:6])
}

// packInitrd packs busybox, the modules in the order they load, and init.
func packInitrd(cache, tree, version string) ([]byte, error) {
	if out, err := exec.Command("depmod", "-b", tree, version).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("depmod: %w: %s", err, out)
	}
	var a archive
	for _, dir := range []string{"bin", "m", "proc", "sys", "dev", "host", "top", "new"} {
		a.add(dir, 0o40755, nil)
	}
	if err := a.file("bin/busybox", filepath.Join(cache, "busybox-static", "bin", "busybox")); err != nil {
		return nil, err
	}
	a.add("bin/sh", 0o120777, []byte("busybox"))
	a.add("init", 0o100755, initScript)
	a.add("systemd", 0o100644, systemdScript)
	var list strings.Builder
	seen := map[string]bool{}
	for _, name := range bootModules {
		out, err := exec.Command("modprobe", "-d", tree, "-S", version, "--show-depends", name).Output()
		if err != nil {
			return nil, fmt.Errorf("module %s: %w", name, err)
		}
		for line := range strings.Lines(string(out)) {
			path, found := strings.CutPrefix(strings.TrimSpace(line), "insmod ")
			if !found || seen[path] {
				continue // "builtin NAME"
			}
			seen[path] = true
			list.WriteString(filepath.Base(path) + "\n")
			if err := a.file("m/"+filepath.Base(path), path); err != nil {
				return nil, err
			}
		}
	}
	a.add("m/list", 0o100644, []byte(list.String()))
	return a.bytes()
}

// archive is a cpio archive in the "newc" format that the kernel unpacks
// (Documentation/driver-api/early-userspace/buffer-format.rst).
type archive struct {
	buf   bytes.Buffer
	files int
}

func (a *archive) add(name string, mode uint32, content []byte) {
	a.files++
	fmt.Fprintf(&a.buf, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.files, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0, name)
	a.pad()
	a.buf.Write(content)
	a.pad()
}

func (a *archive) file(name, path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	a.add(name, 0o100755, content)
	return nil
}

func (a *archive) pad() {
	for a.buf.Len()%4 != 0 {
		a.buf.WriteByte(0)
	}
}

func (a *archive) bytes() ([]byte, error) {
	if a.files == 0 {
		return nil, errors.New("empty archive")
	}
	a.add("TRAILER!!!", 0, nil)
	return a.buf.Bytes(), nil
}
