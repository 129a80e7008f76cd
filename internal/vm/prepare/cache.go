package prepare

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ostia/internal/program"
	"ostia/internal/vm/kernel"

	"golang.org/x/sys/unix"
)

// entry is a folder of the cache: what one kernel and one version of this
// program boot from.
type entry struct {
	dir            string
	kernel, initrd *os.File
}

// The files of an entry besides those that ostia-kernel makes.
const (
	fitFile    = "fit-"  // and the id of the host's boot
	unfinished = ".new-" // begins the name of an entry that is being made
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
	files := []*os.File{source, self}
	if k.Modules != "" {
		modules, err := os.Open(k.Modules)
		if err != nil {
			return nil, fmt.Errorf("guest kernel: %w", err)
		}
		defer modules.Close()
		files = append(files, modules)
	}
	name, err := nameOf(files...)
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
	if err := e.make(cache, k); err != nil {
		return nil, err
	}
	return e, e.use(k)
}

// nameOf stands for the contents of kernel, program and modules by what changes
// whenever they do: hashing them would take longer than all else that a create does.
func nameOf(files ...*os.File) (string, error) {
	var name []byte
	for _, f := range files {
		var st unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &st); err != nil {
			return "", fmt.Errorf("%s: %w", f.Name(), err)
		}
		for _, n := range [...]uint64{st.Dev, st.Ino, uint64(st.Size), uint64(st.Mtim.Nano()), uint64(st.Ctim.Nano())} {
			name = append(strconv.AppendUint(name, n, 36), '.')
		}
	}
	return string(name[:len(name)-1]), nil
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
	if e.initrd, err = os.Open(filepath.Join(e.dir, kernel.Initrd)); err != nil {
		return err
	}
	e.kernel, err = os.Open(filepath.Join(e.dir, kernel.Unpacked))
	if errors.Is(err, fs.ErrNotExist) {
		e.kernel, err = os.Open(k.Path)
	}
	return err
}

// make makes an entry whole or not at all, and drops those that this kernel or
// program had before.
func (e *entry) make(cache string, k kernel.Kernel) error {
	tmp, err := os.MkdirTemp(cache, unfinished)
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }() // gone when all went well
	if err := fill(tmp, k.Path); err != nil {
		return err
	}
	if err := os.Rename(tmp, e.dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err // another create was faster
	}
	return e.prune(cache)
}

// fill has ostia-kernel, which lies beside this program, make an entry's files.
func fill(dir, kernel string) error {
	const name = "ostia-kernel"
	path, err := program.Beside(name)
	if err != nil {
		return err
	}
	agent := "/proc/" + strconv.Itoa(os.Getpid()) + "/exe" // this program, whatever lies in its place by now
	p := program.Program{Path: path, Args: []string{name, kernel, agent, dir}}
	said, status, err := p.Run()
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w: it belongs beside ostia-vmm: install it there", path, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	switch status.ExitStatus() {
	case 0:
		return nil
	case 1:
		return errors.New(program.OneLine(said))
	}
	return fmt.Errorf("%s: %s", path, program.Ended(status, said)) // killed for want of memory, for one
}

// kept is how many entries there may be, and abandoned the age from which on what
// is being made belongs to a create that was killed.
const (
	kept      = 4
	abandoned = 10 * time.Minute
)

// prune removes the oldest entries, and those that nobody makes any more.
func (e *entry) prune(cache string) error {
	all, err := os.ReadDir(cache)
	if err != nil {
		return err
	}
	type aged struct {
		path string
		when time.Time
	}
	var others []aged
	for _, d := range all {
		info, err := d.Info()
		path := filepath.Join(cache, d.Name())
		switch {
		case err != nil || path == e.dir: // another create has removed it; this one's
		case !strings.HasPrefix(d.Name(), unfinished):
			others = append(others, aged{path, info.ModTime()})
		case time.Since(info.ModTime()) > abandoned:
			err = os.RemoveAll(path)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	slices.SortFunc(others, func(a, b aged) int { return a.when.Compare(b.when) })
	for _, o := range others[:max(0, len(others)+1-kept)] {
		if err := os.RemoveAll(o.path); err != nil {
			return err
		}
	}
	return nil
}
