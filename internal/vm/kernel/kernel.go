// Package kernel finds a kernel for the guest among those that are installed
// on the host.
package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sys/unix"
)

// Kernel is a kernel on the host's disk.
type Kernel struct {
	Path    string // a bzImage, an ELF vmlinux or a libkrunfw
	Modules string // folder of its modules, as /lib/modules/VERSION; "" for none
	Bare    bool   // it takes neither an initramfs nor ACPI: libkrunfw's
}

// What a machine boots from: the names of the files that ostia-kernel makes of a
// kernel.
const (
	Unpacked = "vmlinux"   // none if the kernel is an ELF file already
	Initrd   = "initramfs" // a folder for a kernel that takes none
)

// MaxSize bounds what a kernel or a module is, unpacked: the largest kernels of
// distributions have some 80 MiB.
const MaxSize = 512 << 20

// ErrFormat is a file that is no kernel.
var ErrFormat = errors.New("neither a bzImage nor an ELF vmlinux")

// ErrNone says that no installed kernel was found.
var ErrNone = errors.New("no kernel for the guest: install one (/boot/vmlinuz-VERSION and /lib/modules/VERSION), or name it in the annotation org.ostia.vm.kernel")

// Find chooses the kernel at path, or if that is empty the running host's own,
// which its distribution keeps patched, or the newest other one, or libkrunfw's.
func Find(path string) (Kernel, error) {
	if path != "" {
		return at(path)
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return Kernel{}, fmt.Errorf("uname: %w", err)
	}
	release := unix.ByteSliceToString(u.Release[:])
	candidates := []string{"/lib/modules/" + release + "/vmlinuz", "/boot/vmlinuz-" + release}
	others, _ := filepath.Glob("/boot/vmlinuz-*") // the pattern is well-formed
	sort.Sort(sort.Reverse(sort.StringSlice(others)))
	for _, c := range append(candidates, others...) {
		if k, err := at(c); err == nil && k.Modules != "" {
			return k, nil
		}
	}
	for _, pattern := range []string{"/usr/local/lib*/libkrunfw.so.*", "/usr/lib64/libkrunfw.so.*", "/usr/lib/*/libkrunfw.so.*", "/usr/lib/libkrunfw.so.*"} {
		libraries, _ := filepath.Glob(pattern) // as above
		for _, c := range libraries {
			if k, err := at(c); err == nil && k.Bare {
				return k, nil
			}
		}
	}
	return Kernel{}, ErrNone
}

// at is the kernel at a path with its modules: those next to it in a tree, as
// an unpacked package has them, or the host's.
func at(path string) (Kernel, error) {
	f, err := os.Open(path)
	if err != nil {
		return Kernel{}, fmt.Errorf("guest kernel: %w", err)
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return Kernel{}, fmt.Errorf("guest kernel %s: not a regular file", path)
	}
	k := Kernel{Path: path}
	if k.Bare = isShared(f); k.Bare {
		return k, nil
	}
	version, err := release(f)
	if err != nil {
		return Kernel{}, fmt.Errorf("guest kernel %s: %w", path, err)
	}
	dir := filepath.Dir(path)
	for _, modules := range []string{filepath.Join(dir, "../lib/modules", version), filepath.Join(dir, "lib/modules", version), "/lib/modules/" + version, "/usr/lib/modules/" + version} {
		if st, err := os.Stat(filepath.Join(modules, "kernel")); version != "" && err == nil && st.IsDir() {
			k.Modules = modules
			break
		}
	}
	return k, nil
}

// IsELF reports whether a file begins as an ELF file does.
func IsELF(b []byte) bool { return bytes.HasPrefix(b, []byte("\x7fELF")) }

// isShared reports whether a file is a shared object, which libkrunfw is; whether
// it has the kernel in it shows when that is unpacked.
func isShared(f *os.File) bool {
	const typeAt, dyn = 16, 3 // e_type, ET_DYN (elf(5))
	var head [typeAt + 2]byte
	n, _ := f.ReadAt(head[:], 0) // a shorter file is none
	return n == len(head) && IsELF(head[:]) && head[typeAt] == dyn && head[typeAt+1] == 0
}

// headerMagic is where a bzImage says that it is one (Documentation/arch/x86/boot.rst).
const headerMagic = 0x202

// release is a kernel's version, as in its bzImage header or in the banner of a
// vmlinux; "" if a vmlinux has none.
func release(f *os.File) (string, error) {
	var head [0x800]byte
	n, err := io.ReadFull(f, head[:])
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", err
	}
	if IsELF(head[:n]) {
		return banner(f)
	}
	if n < headerMagic+4 || string(head[headerMagic:headerMagic+4]) != "HdrS" {
		return "", ErrFormat
	}
	const versionPointer = 0x20e
	var text [256]byte
	at := int64(head[versionPointer]) | int64(head[versionPointer+1])<<8
	if _, err := f.ReadAt(text[:], at+0x200); err != nil {
		return "", err
	}
	return firstWord(text[:])
}

// banner looks for "Linux version 6.1.0 (...".
func banner(f *os.File) (string, error) {
	const words = "Linux version "
	st, err := f.Stat()
	if err != nil || st.Size() == 0 {
		return "", err
	}
	b, err := unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return "", err
	}
	defer func() { _ = unix.Munmap(b) }() // only read
	for rest := b; ; {
		i := bytes.Index(rest, []byte(words))
		if i < 0 {
			return "", nil
		}
		rest = rest[i+len(words):]
		if len(rest) > 0 && rest[0] >= '0' && rest[0] <= '9' {
			return firstWord(rest[:min(len(rest), 256)])
		}
	}
}

func firstWord(b []byte) (string, error) {
	word, _, _ := strings.Cut(unix.ByteSliceToString(b), " ")
	if word == "" || strings.ContainsAny(word, "/\n") {
		return "", errors.New("its header holds no version")
	}
	return word, nil
}
