package container

import (
	"cmp"
	"errors"
	"os"
	"strings"

	"ostia/internal/file"
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
		version := 31700
		if o.NetworkLock == "skip" {
			version = 31900
		}
		if err := c.needs(version, "--network-lock "+o.NetworkLock); err != nil {
			return err
		}
	}
	if err := q.open(o); err != nil {
		return err
	}
	q.Log, q.Config, q.CgroupMode = log, criuConfig(config), o.CgroupMode
	c.log = absolute(cmp.Or(o.WorkPath, o.ImagePath), cmp.Or(configuredLog(q.Config), log))
	_ = unix.Unlink(c.log) // of the last time
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
	for _, path := range [...]string{"/etc/criu/ostia.conf", "/etc/criu/crun.conf"} { // crun's before runc's, as crun does
		if unix.Access(path, unix.F_OK) == nil {
			return path
		}
	}
	return "/etc/criu/runc.conf"
}

// configuredLog is the log-file of a configuration file of CRIU's, "" for none: a
// setting a line, its value behind a space or "=", perhaps in quotes (criu(8)).
func configuredLog(config string) (log string) {
	text, err := file.Read(config)
	if err != nil {
		return "" // CRIU passes over it
	}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
		rest, ok := strings.CutPrefix(line, "log-file")
		if value := strings.TrimLeft(rest, " \t="); ok && value != rest {
			log = strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	return log
}

var errCheckpointMachine = errors.New("is a virtual machine, which CRIU cannot write down")
