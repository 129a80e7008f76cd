package prepare

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"ostia/internal/vm/initramfs"
	"ostia/internal/vm/kernel"

	"golang.org/x/sys/unix"
)

// entry is a folder of the cache: what one kernel and one version of this
// program boot from.
type entry struct {
	dir            string
	kernel, initrd *os.File
}

// The files of an entry.
const (
	kernelFile = "vmlinux"
	initrdFile = "initramfs" // a folder for a kernel that takes none
	fitFile    = "fit-"      // and the id of the host's boot
)

// open finds a kernel's entry, or makes it.
func open(k kernel.Kernel) (*entry, error) {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	defer self.Close()
	source, err := os.Open(k.Path)
	if err != nil {
		return nil, fmt.Errorf("guest kernel: %w", err)
	}
	defer source.Close()
	name, err := nameOf(k, source, self)
	if err != nil {
		return nil, err
	}
	cache, err := folder()
	if err != nil {
		return nil, err
	}
	e := &entry{dir: filepath.Join(cache, name)}
	if err := e.use(k); err == nil {
		return e, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := e.make(cache, k, self); err != nil {
		return nil, fmt.Errorf("cache %s: %w", cache, err)
	}
	return e, e.use(k)
}

// nameOf stands for the contents of kernel and program by what changes whenever
// they do: hashing both would take longer than all else that a create does.
func nameOf(k kernel.Kernel, files ...*os.File) (string, error) {
	id := k.Path + "\n" + k.Modules + "\n"
	for _, f := range files {
		var st unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &st); err != nil {
			return "", err
		}
		id += fmt.Sprintln(st.Dev, st.Ino, st.Size, st.Mtim, st.Ctim)
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:16]), nil
}

// folder is where the entries are. Nobody else may write there.
func folder() (string, error) {
	dir := "/var/cache/ostia/vm"
	if os.Geteuid() != 0 {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(cache, "ostia", "vm")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return "", fmt.Errorf("%s: %w", dir, err)
	}
	if int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0 {
		return "", fmt.Errorf("%s: others may write there: make it yours alone (chmod 700)", dir)
	}
	return dir, nil
}

// use opens an entry's files. A kernel that needed no unpacking is where it was.
func (e *entry) use(k kernel.Kernel) (err error) {
	if e.initrd, err = os.Open(filepath.Join(e.dir, initrdFile)); err != nil {
		return err
	}
	e.kernel, err = os.Open(filepath.Join(e.dir, kernelFile))
	if errors.Is(err, fs.ErrNotExist) {
		e.kernel, err = os.Open(k.Path)
	}
	return err
}

// make makes an entry whole or not at all, and drops those that this kernel or
// program had before.
func (e *entry) make(cache string, k kernel.Kernel, self *os.File) error {
	tmp, err := os.MkdirTemp(cache, ".new-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }() // gone when all went well
	w, err := os.Create(filepath.Join(tmp, kernelFile))
	if err != nil {
		return err
	}
	holes := &sparse{file: w}
	packed, err := k.Unpack(holes)
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
	agent, err := os.ReadFile(self.Name())
	if err != nil {
		return err
	}
	if k.Bare {
		err = makeRoot(filepath.Join(tmp, initrdFile), agent)
	} else {
		var archive []byte
		if archive, err = initramfs.Make(agent, k); err == nil {
			err = os.WriteFile(filepath.Join(tmp, initrdFile), archive, 0o600)
		}
	}
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, e.dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err // another create was faster
	}
	return e.prune(cache)
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

// kept is how many entries there may be.
const kept = 4

// prune removes the oldest entries.
func (e *entry) prune(cache string) error {
	all, err := os.ReadDir(cache)
	if err != nil {
		return err
	}
	for len(all) > kept {
		oldest := -1
		var when int64
		for i, d := range all {
			info, err := d.Info()
			if err != nil || strings.HasPrefix(d.Name(), ".") || d.Name() == filepath.Base(e.dir) {
				continue
			}
			if t := info.ModTime().UnixNano(); oldest < 0 || t < when {
				oldest, when = i, t
			}
		}
		if oldest < 0 {
			return nil
		}
		if err := os.RemoveAll(filepath.Join(cache, all[oldest].Name())); err != nil {
			return err
		}
		all = append(all[:oldest], all[oldest+1:]...)
	}
	return nil
}
