package container

import (
	"cmp"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"ostia/internal/file"
	"ostia/internal/json"
	"ostia/internal/linux"
	"ostia/internal/mountinfo"
	"ostia/internal/plan"
	"ostia/internal/program"
	"ostia/internal/spec"
	"ostia/internal/state"

	"golang.org/x/sys/unix"
)

// CriuOptions are the options that checkpoint and restore share.
type CriuOptions struct {
	ImagePath      string // folder of the images
	WorkPath       string // of the logs; "" is ImagePath
	CgroupMode     string // "", soft, full, strict or ignore
	NetworkLock    string // "", iptables, nftables or skip
	TCPEstablished bool
	ExtUnixSk      bool
	ShellJob       bool
	FileLocks      bool
	AutoDedup      bool
	LazyPages      bool
	Progress       func(step string) // told of every step, and "" at the end; nil for nobody
}

// CheckpointOptions are the options of checkpoint.
type CheckpointOptions struct {
	CriuOptions
	ParentPath      string // of the images of a pre-dump, relative to ImagePath
	LeaveRunning    bool
	PreDump         bool
	TCPSkipInFlight bool
	LinkRemap       bool
	PageServer      string // address, "" for none
	PageServerPort  int
	StatusFD        int // -1 for none
}

const (
	dumpLog    = "dump.log"
	restoreLog = "restore.log"
	// descriptorsFile, among the images, says what the container's stdio was, as
	// runc and crun write it.
	descriptorsFile = "descriptors.json"
)

// Checkpoint has CRIU write the container's processes into files. Unless it is
// to go on it is deleted then.
func (r *Runtime) Checkpoint(id string, o CheckpointOptions) error {
	d, s, err := r.open(id)
	if err != nil {
		return err
	}
	defer d.Close()
	switch st, err := r.status(d, s); {
	case err != nil:
		return err
	case st != Running && st != Paused:
		return failed("checkpoint", id, &statusError{ErrNotRunning, st})
	case s.Machine:
		return failed("checkpoint", id, errCheckpointMachine)
	}
	if err := r.dump(s, &o); err != nil {
		return failed("checkpoint", id, err)
	}
	if o.LeaveRunning || o.PreDump {
		return nil
	}
	return r.destroy(d, s)
}

func (r *Runtime) dump(s *state.State, o *CheckpointOptions) error {
	config, err := config(s)
	if err != nil {
		return err
	}
	c, err := newCriuRun(r.Criu)
	if err != nil {
		return err
	}
	q := &CriuRequest{
		Call: CriuDump, Pid: s.Pid, Root: s.Rootfs, PageServer: o.PageServer, PageServerPort: o.PageServerPort, StatusFD: -1, Images: -1, Work: -1,
		LeaveRunning: o.LeaveRunning, TCPSkipInFlight: o.TCPSkipInFlight, LinkRemap: o.LinkRemap, TrackMemory: o.ParentPath != "" || o.PreDump,
	}
	if o.PreDump {
		q.Call = CriuPreDump
	}
	defer q.close()
	if err := c.prepare(q, &o.CriuOptions, dumpLog, config); err != nil {
		return err
	}
	if err := o.checkParent(q); err != nil {
		return err
	}
	if q.TrackMemory {
		if err := c.require("--pre-dump and --parent-path", func(a *CriuAnswer) bool { return a.MemTrack }); err != nil {
			return err
		}
	}
	if o.LazyPages {
		if err := c.require("--lazy-pages", func(a *CriuAnswer) bool { return a.LazyPages }); err != nil {
			return err
		}
	}
	if s.Cgroup != nil {
		q.FreezeCgroup = s.Cgroup.Freezer()
	}
	if err := externalNamespaces(q, config); err != nil {
		return err
	}
	if !o.PreDump {
		if err := external(q, s, config); err != nil {
			return err
		}
	}
	_, err = c.do(q, func(e *CriuEvent) error {
		o.step(e.Script)
		if e.Script == "status-ready" && o.StatusFD >= 0 {
			// Whoever starts the other side waits for this byte.
			_, err := unix.Write(o.StatusFD, []byte{0})
			unix.Close(o.StatusFD)
			o.StatusFD = -1
			return failed("--status-fd", "", err)
		}
		return nil
	})
	return err
}

func (o *CriuOptions) step(script string) {
	if o.Progress != nil {
		o.Progress(script)
	}
}

// checkParent checks what CRIU would not complain about in clear words.
func (o *CheckpointOptions) checkParent(q *CriuRequest) error {
	if o.ParentPath == "" {
		return nil
	}
	if o.ParentPath[0] == '/' {
		return failed("--parent-path", o.ParentPath, errors.New("must be relative to the image path"))
	}
	var st unix.Stat_t
	err := unix.Fstatat(q.Images, o.ParentPath, &st, 0)
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		err = unix.ENOTDIR
	}
	q.ParentImages = o.ParentPath
	return failed("--parent-path", o.ParentPath, err)
}

// prepare opens the folders and sets the options that dump and restore share.
func (c *criuRun) prepare(q *CriuRequest, o *CriuOptions, log string, config *spec.Spec) error {
	if o.NetworkLock != "" {
		if err := c.needs(31700, "--network-lock"); err != nil {
			return err
		}
	}
	if err := q.open(o); err != nil {
		return err
	}
	c.log = cmp.Or(o.WorkPath, o.ImagePath) + "/" + log
	_ = unix.Unlink(c.log) // of the last time
	q.Log, q.Config, q.CgroupMode = log, criuConfig(config), o.CgroupMode
	q.TCPEstablished, q.ExtUnixSk, q.ShellJob, q.FileLocks = o.TCPEstablished, o.ExtUnixSk, o.ShellJob, o.FileLocks
	q.AutoDedup, q.LazyPages = o.AutoDedup, o.LazyPages
	// A network namespace gets its interfaces from whoever made them: hooks, or an engine.
	q.EmptyNS = unix.CLONE_NEWNET
	q.NetworkLock = o.NetworkLock
	if _, err := program.Find("iptables-restore"); q.NetworkLock == "" && err != nil && c.version >= 31700 {
		q.NetworkLock = "nftables" // CRIU's default is the other
	}
	return nil
}

// open opens the folders, made if they are missing.
func (q *CriuRequest) open(o *CriuOptions) (err error) {
	q.Images, q.Work = -1, -1
	if q.Images, err = openFolder(o.ImagePath); err != nil {
		return failed("--image-path", o.ImagePath, err)
	}
	if o.WorkPath != "" {
		q.Work, err = openFolder(o.WorkPath)
	}
	return failed("--work-path", o.WorkPath, err)
}

func (q *CriuRequest) close() {
	for _, fd := range [...]int{q.Images, q.Work} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// openFolder opens a folder, made if it is missing.
func openFolder(path string) (int, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		var reason *os.PathError
		if errors.As(err, &reason) {
			err = reason.Err
		}
		return -1, err
	}
	return unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

// criuAnnotation names a configuration file for CRIU; empty is none.
const criuAnnotation = "org.criu.config"

// criuConfig is CRIU's configuration file: the annotation's, else that of
// runtimes on this host. CRIU passes over one that is not there.
func criuConfig(s *spec.Spec) string {
	if path, given := s.Annotations[criuAnnotation]; given {
		return path
	}
	if unix.Access("/etc/criu/ostia.conf", unix.F_OK) == nil {
		return "/etc/criu/ostia.conf"
	}
	return "/etc/criu/runc.conf"
}

// The names that namespaces of others have among the images, as with runc.
const (
	externalNet = "extRootNetNS"
	externalPid = "extRootPidNS"
)

// externalNamespaces leaves out namespaces that the container was put into.
func externalNamespaces(q *CriuRequest, s *spec.Spec) error {
	for i := range s.Linux.Namespaces {
		n := &s.Linux.Namespaces[i]
		var kind, name string
		switch n.Flag {
		case unix.CLONE_NEWNET:
			kind, name = "net", externalNet
		case unix.CLONE_NEWPID:
			kind, name = "pid", externalPid
		}
		if kind == "" || n.Path == "" {
			continue
		}
		var st unix.Stat_t
		// Of the process, since the path may lead elsewhere by now.
		if err := unix.Stat("/proc/"+strconv.Itoa(q.Pid)+"/ns/"+kind, &st); err != nil {
			return failed("namespace", kind, err)
		}
		q.External = append(q.External, kind+"["+strconv.FormatUint(st.Ino, 10)+"]:"+name)
	}
	return nil
}

// external names the mounts and the descriptors that lead out of the container,
// and notes the latter among the images.
func external(q *CriuRequest, s *state.State, config *spec.Spec) error {
	proc := "/proc/" + strconv.Itoa(s.Pid)
	text, err := file.Read(proc + "/mountinfo")
	if err != nil {
		return failed("read", proc+"/mountinfo", err)
	}
	mounts := mountinfo.Parse(text)
	if hasNamespace(config, unix.CLONE_NEWNS) {
		if q.Mounts, err = externalMounts(proc, mounts, config, s.Rootfs); err != nil {
			return err
		}
	}
	e := json.NewEncoder("")
	e.Array(func() {
		for fd := range 3 {
			key, ext, err := stdioKey(proc, fd, mounts)
			if err == nil && ext && !slices.Contains(q.External, key) {
				q.External = append(q.External, key)
			}
			e.String(key)
		}
	})
	fd, err := unix.Openat(q.Images, descriptorsFile, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err == nil {
		err = file.WriteAll(fd, e.Bytes())
		unix.Close(fd)
	}
	return failed("write", descriptorsFile, err)
}

// nullDevice is what covers a masked file, and its name among the images.
const nullDevice = "/dev/null"

// externalMounts are the mounts of the container whose file system is not its
// own: bind mounts, the cgroup file system, and the null device over masked
// files.
func externalMounts(proc string, mounts []mountinfo.Mount, s *spec.Spec, rootfs string) (list []CriuMount, err error) {
	root, err := unix.Open(proc+"/root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, failed("open", proc+"/root", err)
	}
	defer unix.Close(root)
	for i := range s.Mounts {
		if m := &s.Mounts[i]; isBind(m) || isCgroup(m) {
			dest := "/" + plan.Destination(m, rootfs)
			if point, _ := mountPoint(root, dest, mounts); point != "" {
				list = append(list, CriuMount{point, dest})
			}
		}
	}
	for _, path := range s.Linux.MaskedPaths {
		if point, isFile := mountPoint(root, path, mounts); isFile && point != "" {
			list = append(list, CriuMount{point, nullDevice})
		}
	}
	return list, nil
}

func isCgroup(m *spec.Mount) bool { return m.Type == "cgroup" || m.Type == "cgroup2" }

// mountPoint is where in the container the mount lies that a path of it leads
// to, by the container's own words: "" for none, or the root.
func mountPoint(root int, path string, mounts []mountinfo.Mount) (point string, isFile bool) {
	fd, err := linux.Openat2(root, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	if err != nil {
		return "", false
	}
	defer unix.Close(fd)
	var st unix.Statx_t
	if unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID|unix.STATX_TYPE, &st) != nil {
		return "", false
	}
	for i := range mounts {
		if mounts[i].ID == st.Mnt_id && mounts[i].Point != "/" {
			return mounts[i].Point, st.Mode&unix.S_IFMT != unix.S_IFDIR
		}
	}
	return "", false
}

// stdioKey is CRIU's name for one of the process's standard descriptors.
// external says that it is a file that no mount of the container leads to.
func stdioKey(proc string, fd int, mounts []mountinfo.Mount) (key string, external bool, err error) {
	number := strconv.Itoa(fd)
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlink(proc+"/fd/"+number, buf)
	if err != nil {
		return "", false, err
	}
	key = string(buf[:n])
	info, err := file.Read(proc + "/fdinfo/" + number)
	var st unix.Stat_t
	if err == nil {
		err = unix.Stat(proc+"/fd/"+number, &st)
	}
	_, text, found := strings.Cut(info, "mnt_id:\t")
	text, _, _ = strings.Cut(text, "\n")
	id, e := strconv.ParseUint(text, 10, 64)
	if err != nil || !found || e != nil || key == "" || key[0] != '/' {
		return key, false, err // a pipe, a socket
	}
	for i := range mounts {
		if mounts[i].ID == id {
			return key, false, nil
		}
	}
	return "file[" + strconv.FormatUint(id, 16) + ":" + strconv.FormatUint(st.Ino, 16) + "]", true, nil
}

var errCheckpointMachine = errors.New("is a virtual machine, which CRIU cannot write down")
