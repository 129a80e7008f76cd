package cgroup

import (
	"errors"
	"strconv"
	"strings"

	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// Create makes the cgroup and applies the resources, with the device rules
// that a container always has. A cgroup that exists is used when it has no
// process (else ErrNotEmpty) and is not frozen. What a failing Create made, it
// removes. A resource that cannot be applied is a *spec.Error; a directory
// that may not be made is ErrNotPermitted.
func (g *Group) Create(r *spec.Resources) (err error) {
	t := tree{group: g}
	defer t.close()
	defer func() {
		if err != nil {
			t.undo()
		}
	}()
	for i := range g.Dirs {
		if err := t.make(&g.Dirs[i]); err != nil {
			return err
		}
	}
	if g.V2 {
		if err := t.enableControllers(needsDomain(r)); err != nil {
			return err
		}
	}
	if r == nil {
		r = &spec.Resources{}
	}
	if err := t.apply(r); err != nil {
		return err
	}
	return t.filterDevices(r.Devices)
}

// Adopt is Create for a cgroup that somebody else has made for the container,
// with its first process, of one thread, in it. In the version 1 hierarchies
// that the maker does not know it is made, and the process moved there.
func (g *Group) Adopt(pid int, r *spec.Resources) error {
	if r == nil {
		r = &spec.Resources{}
	}
	t := tree{group: g}
	defer t.close()
	own, err := memberships(pid)
	if err != nil {
		return err
	}
	var elsewhere []int
	for i := range g.Dirs {
		if d := &g.Dirs[i]; d.holds(own) {
			err = t.openLeaf(d)
		} else {
			elsewhere = append(elsewhere, i)
			err = t.make(d)
		}
		if err != nil {
			return err
		}
	}
	if err := t.apply(r); err != nil {
		return err
	}
	if err := t.filterDevices(r.Devices); err != nil {
		return err
	}
	for _, i := range elsewhere {
		if err := t.leaves[i].take(&g.Dirs[i], pid); err != nil {
			return err
		}
	}
	return nil
}

// take moves a process of one thread into the directory.
func (f folder) take(d *Dir, pid int) error {
	file := "tasks" // which does not wait: Open says for what
	if d.Version2() {
		file = "cgroup.procs"
	}
	if err := f.write(file, strconv.Itoa(pid)); err != nil {
		return &Error{"move process " + strconv.Itoa(pid) + " to", f.path, err}
	}
	return nil
}

// open opens directories that exist.
func (t *tree) open() error {
	for i := range t.group.Dirs {
		if err := t.openLeaf(&t.group.Dirs[i]); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) openLeaf(d *Dir) error {
	f, err := d.open()
	if err == nil {
		t.leaves = append(t.leaves, leaf{folder: f, top: folder{fd: -1}, used: true})
	}
	return err
}

// tree is a Group with its directories open.
type tree struct {
	group   *Group
	leaves  []leaf    // as group.Dirs
	journal *[]change // what an Update has written, to take it back
}

// leaf is the container's directory in one hierarchy.
type leaf struct {
	folder
	top  folder // the hierarchy's root
	down string // the way from there
	made int    // how many directories of the way were made
	used bool   // it was there before
}

func (t *tree) close() {
	for i := range t.leaves {
		t.leaves[i].close()
		t.leaves[i].top.close()
	}
}

// undo removes what was made, from the leaf up.
func (t *tree) undo() {
	for i := range t.leaves {
		l := &t.leaves[i]
		for down := l.down; l.made > 0; l.made-- {
			_ = unix.Unlinkat(l.top.fd, down, unix.AT_REMOVEDIR)
			down = down[:max(strings.LastIndexByte(down, '/'), 0)]
		}
	}
}

// make makes the directory and those above it, and opens it.
func (t *tree) make(d *Dir) error {
	top, down, err := d.openMount()
	if err != nil {
		return err
	}
	t.leaves = append(t.leaves, leaf{folder: folder{fd: -1}, top: top, down: down})
	l := &t.leaves[len(t.leaves)-1]
	if err := l.mkdir(down); err != nil {
		return err
	}
	l.used = l.made == 0
	if l.folder, err = top.open(down); err != nil {
		return err
	}
	if l.used {
		return l.reuse(d)
	}
	return nil
}

// mkdir makes a directory, and first those above it when they are missing.
func (l *leaf) mkdir(down string) error {
	err := unix.Mkdirat(l.top.fd, down, 0o755)
	if err == unix.ENOENT {
		i := strings.LastIndexByte(down, '/')
		if i < 0 {
			return &Error{"make", l.top.path + "/" + down, err}
		}
		if err := l.mkdir(down[:i]); err != nil {
			return err
		}
		err = unix.Mkdirat(l.top.fd, down, 0o755)
	}
	switch err {
	case nil:
		l.made++
		return nil
	case unix.EEXIST:
		return nil
	case unix.EROFS:
		// A read-only mount answers so even for what is there.
		if f, gone := l.top.open(down); gone == nil {
			f.close()
			return nil
		}
	}
	return &Error{"make", l.top.path + "/" + down, err}
}

// reuse checks a cgroup that was there before.
func (l *leaf) reuse(d *Dir) error {
	pids, err := l.processes(nil)
	if err != nil {
		return err
	}
	if len(pids) > 0 {
		return &Error{"use", l.path, ErrNotEmpty}
	}
	frozen, err := l.frozen(d)
	if err == nil && frozen {
		err = &Error{"use", l.path, errors.New("container's cgroup unexpectedly frozen: choose another linux.cgroupsPath, or thaw it")}
	}
	return err
}

// enableControllers enables all of the hierarchy's controllers in the
// directories above the leaf, as far as it goes: engines read the statistics
// of those that have no limit. A missing one is reported when it is needed.
func (t *tree) enableControllers(domain bool) error {
	l := &t.leaves[0]
	all, err := l.top.read("cgroup.controllers")
	if err != nil {
		return &Error{"read", l.top.path + "/cgroup.controllers", err}
	}
	all = strings.TrimSpace(all)
	have, err := l.read("cgroup.controllers")
	if err != nil {
		return &Error{"read", l.path + "/cgroup.controllers", err}
	}
	if all != "" && strings.TrimSpace(have) == all {
		return nil
	}
	for i := 0; ; {
		n := strings.IndexByte(l.down[i:], '/')
		f, err := l.top, error(nil)
		if i > 0 {
			if f, err = l.top.open(l.down[:i-1]); err != nil {
				return err
			}
			err = f.checkType(domain)
		}
		if err == nil {
			f.enable(all)
		}
		if i > 0 {
			f.close()
		}
		if err != nil {
			return err
		}
		if n < 0 {
			return l.checkType(domain)
		}
		i += n + 1
	}
}

// enable adds to cgroup.subtree_control, one by one when not all are accepted:
// the failure of one is no error. EBUSY is a cgroup with processes of its own:
// the controllers that it would still take alone would make it threaded.
func (f folder) enable(controllers string) {
	enabled, err := f.read("cgroup.subtree_control")
	if err != nil || controllers == "" || strings.TrimSpace(enabled) == controllers {
		return
	}
	err = f.write("cgroup.subtree_control", "+"+strings.ReplaceAll(controllers, " ", " +"))
	if err == nil || err == unix.EBUSY {
		return
	}
	for c := range strings.SplitSeq(controllers, " ") {
		_ = f.write("cgroup.subtree_control", "+"+c)
	}
}

// checkType refuses a cgroup that cannot carry what is asked for. Below a
// cgroup with processes or threads a new one is "domain invalid" until it is
// made threaded (cgroups(7), "Thread mode").
func (f folder) checkType(domain bool) error {
	kind, err := f.read("cgroup.type")
	if err != nil {
		return nil // the root has none
	}
	switch kind = strings.TrimSpace(kind); {
	case domain && (kind == "domain invalid" || kind == "threaded" || kind == "domain threaded"):
		return &Error{"use", f.path, errors.New("is of type \"" + kind + "\", which cannot limit memory, io, cpu or hugetlb: choose another linux.cgroupsPath")}
	case kind == "domain invalid":
		_ = f.write("cgroup.type", "threaded")
	}
	return nil
}

// needsDomain reports whether a resource needs a controller that a threaded
// cgroup cannot have.
func needsDomain(r *spec.Resources) bool {
	return r != nil && (r.Memory != nil || r.BlockIO != nil || r.CPU != nil || len(r.HugepageLimits) > 0)
}

// controller is the directory of a controller. On version 1 it is an error
// when the controller is not mounted.
func (t *tree) controller(name string) (folder, error) {
	i := t.group.find(name)
	if i < 0 {
		return folder{fd: -1}, errors.New("the cgroup controller " + name + " is not mounted on this host: mount it, or leave the limit out")
	}
	return t.leaves[i].folder, nil
}

// set writes a controller's file for the configuration at pointer.
func (t *tree) set(pointer, controller, file, value string) error {
	_, err := t.setOr(pointer, controller, file, value)
	return err
}

// setOr is set, except that the errors given are returned as such for the
// caller to deal with.
func (t *tree) setOr(pointer, controller, file, value string, except ...unix.Errno) (unix.Errno, error) {
	f, err := t.controller(controller)
	if err != nil {
		return 0, &spec.Error{Pointer: pointer, Err: err}
	}
	if t.journal != nil {
		t.remember(f, file, value)
	}
	if err = f.write(file, value); err == nil {
		return 0, nil
	}
	for _, e := range except {
		if err == e {
			return e, nil
		}
	}
	return 0, &spec.Error{Pointer: pointer, Err: t.explain(f, controller, file, value, err)}
}

// explain says why a file could not be written and what to do.
func (t *tree) explain(f folder, controller, file, value string, err error) error {
	reason := ""
	switch err {
	case unix.ENOENT, unix.EACCES, unix.EPERM:
		if t.group.V2 && controller != "cgroup" && !contains(f, "cgroup.controllers", controller) {
			return t.unavailable(controller)
		}
		if err == unix.ENOENT {
			reason = "no such file or directory: this kernel does not have it: leave the limit out, or build the kernel with it"
		}
	case unix.EBUSY:
		reason = "device or resource busy: the cgroup uses more than that, or a cgroup below does not fit"
		if usage, err := f.read("memory.usage_in_bytes"); err == nil && controller == "memory" {
			reason = "device or resource busy: the cgroup uses " + strings.TrimSpace(usage) + " bytes now: raise the limit"
		}
	case unix.EINVAL, unix.ERANGE:
		reason = err.Error() + ": the kernel does not accept this value here: check its range and the limits of the cgroups above"
	case unix.ENODEV, unix.ENXIO, unix.EOPNOTSUPP:
		reason = err.Error() + ": the device does not exist, or its driver or I/O scheduler has no such limit"
	}
	if reason == "" {
		return &Error{"write " + strconv.Quote(value) + " to", f.path + "/" + file, err}
	}
	return &valueError{"write " + strconv.Quote(value) + " to " + f.path + "/" + file + ": " + reason, err}
}

// valueError is a value that the kernel refused, in words.
type valueError struct {
	text string
	err  error
}

func (e *valueError) Error() string { return e.text }
func (e *valueError) Unwrap() error { return e.err }

// unavailable says where on the way down a version 2 controller got lost.
func (t *tree) unavailable(controller string) error {
	text := "the requested cgroup controller `" + controller + "` is not available in " + t.leaves[0].path
	top, down, err := t.group.Dirs[0].openMount()
	if err != nil {
		return errors.New(text)
	}
	defer top.close()
	if !contains(top, "cgroup.controllers", controller) {
		return errors.New(text + ": this kernel or container does not have it in " + top.path + "/cgroup.controllers")
	}
	f := top
	for i := 0; err == nil; {
		if !contains(f, "cgroup.subtree_control", controller) {
			text += ": it is not in " + f.path + "/cgroup.subtree_control"
			if pids, _ := f.read("cgroup.procs"); pids != "" && i > 0 {
				text += " and cannot be, because that cgroup has processes: choose another linux.cgroupsPath"
			} else {
				text += ": it has to be delegated to this user, or write +" + controller + " there"
			}
			break
		}
		n := strings.IndexByte(down[i:], '/')
		if n < 0 {
			break
		}
		i += n + 1
		if i > 1 && f.fd != top.fd {
			f.close()
		}
		f, err = top.open(down[:i-1])
	}
	if f.fd != top.fd {
		f.close()
	}
	return errors.New(text)
}

// contains reports whether a file of words has one.
func contains(f folder, file, word string) bool {
	text, err := f.read(file)
	if err != nil {
		return false
	}
	for w := range strings.FieldsSeq(text) {
		if w == word {
			return true
		}
	}
	return false
}
