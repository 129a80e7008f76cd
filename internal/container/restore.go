package container

import (
	"errors"
	"strconv"
	"strings"

	"ostia/internal/file"
	"ostia/internal/json"
	"ostia/internal/launch"
	"ostia/internal/spec"
	"ostia/internal/state"

	"golang.org/x/sys/unix"
)

// RestoreOptions are the options of restore. Of CreateOptions it takes what
// says where the container is and who is told.
type RestoreOptions struct {
	CreateOptions
	CriuOptions
	TCPClose   bool
	LSMProfile string // TYPE:NAME
	LSMContext string // of mounts
}

// restoration is a restore under way.
type restoration struct {
	creation
	o    *RestoreOptions
	criu *criuRun
	q    *CriuRequest
	fds  []int // of ours that CRIU gets, from firstCriuFD on
}

// Restore makes a container of its bundle and of the images of a checkpoint, and
// goes on like Run.
func (r *Runtime) Restore(o RestoreOptions) (status int, err error) {
	c := &restoration{creation: creation{r: r, o: &o.CreateOptions, byCRIU: true}, o: &o, q: &CriuRequest{Call: CriuRestore, Images: -1, Work: -1}}
	defer c.close()
	if !o.Detach {
		launch.Forward()
		if !o.NoSubreaper {
			_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
		}
	}
	if err := c.begin(); err != nil {
		return 0, c.report("restore", failed("restore", o.ID, err))
	}
	c.dir.Close()
	c.dir = nil
	o.step("")
	if o.Detach {
		return 0, nil
	}
	status, err = c.tty.attend(c.stage)
	c.reportEnd(status, err)
	if e := r.deleteStopped(o.ID, c.state); e != nil && err == nil {
		err = e
	}
	return status, err
}

func (c *restoration) close() {
	c.q.close()
	for _, fd := range c.fds {
		unix.Close(fd)
	}
	c.creation.close()
}

// begin makes the container with its processes. If it fails, nothing is left.
func (c *restoration) begin() (err error) {
	if !state.ValidID(c.o.ID) {
		return ErrInvalidID
	}
	if c.criu, err = newCriuRun(c.r.Criu); err != nil {
		return err
	}
	if c.r.CgroupManager == "systemd" {
		c.scope = &scope{}
		if err := c.scope.connect(c.r.mayGoWithout()); err != nil {
			return err
		}
	}
	if err := c.readBundle(); err != nil {
		return err
	}
	if h, err := c.r.handler(c.spec); err != nil || h == HandlerMachine {
		if err == nil {
			err = errCheckpointMachine
		}
		return err
	}
	if err := c.openImages(); err != nil {
		return err
	}
	if c.dir, err = state.Create(c.r.Root, c.o.ID); err != nil {
		return stateFailed("create", c.r.Root+"/"+c.o.ID, err)
	}
	if err := c.make(); err != nil {
		c.undo()
		return err
	}
	return nil
}

// openImages opens the images of a checkpoint.
func (c *restoration) openImages() error {
	o := c.o
	if _, err := file.Read(o.ImagePath + "/inventory.img"); err != nil {
		return failed("--image-path", o.ImagePath, &advised{errNoImages, "name the folder that checkpoint wrote"})
	}
	for _, option := range [...]struct{ name, value string }{{"--lsm-profile", o.LSMProfile}, {"--lsm-mount-context", o.LSMContext}} {
		if option.value != "" {
			if err := c.criu.needs(31600, option.name); err != nil {
				return err
			}
		}
	}
	if o.LazyPages {
		if err := c.criu.require("--lazy-pages", func(a *CriuAnswer) bool { return a.LazyPages }); err != nil {
			return err
		}
	}
	c.q.StatusFD, c.q.TCPClose, c.q.LSMProfile, c.q.LSMContext = -1, o.TCPClose, o.LSMProfile, o.LSMContext
	return c.criu.prepare(c.q, &o.CriuOptions, restoreLog, c.spec)
}

// make makes the container in its locked folder.
func (c *restoration) make() error {
	if err := c.reserve(); err != nil {
		return err
	}
	if err := c.inherit(); err != nil {
		return err
	}
	if err := c.giveFiles(); err != nil {
		return err
	}
	if err := c.join(); err != nil {
		return err
	}
	err := c.mounts()
	if err != nil {
		return err
	}
	if c.q.Root, err = c.dir.Restoring(); err != nil {
		return failed("state", c.dir.Path(), err)
	}
	answer, err := c.perform()
	if err == nil && c.byCRIU { // it has not told of it meanwhile
		err = c.restored(answer.Pid)
	}
	if err != nil {
		return err
	}
	if err := c.dir.Restored(); err != nil {
		return failed("state", c.dir.Path(), err)
	}
	return c.tellPid()
}

// started puts CRIU, and so all that it makes, into the container's cgroup. Till
// the container is restored it is its first process: a runtime killed meanwhile
// leaves a state that delete can clean up by.
func (c *restoration) started(pid int) (err error) {
	if c.stage, err = launch.Started(pid); err != nil {
		return failed("start", c.criu.path, err)
	}
	if err := c.keepPid(); err != nil {
		return err
	}
	switch {
	case c.scope != nil:
		err = c.enter()
	case c.group != nil:
		err = c.group.Take(pid)
	}
	if err == nil && c.resctrl != nil {
		err = c.takeResctrl(pid)
	}
	if err == nil {
		c.q.CgroupRoots, err = cgroupRoots(pid)
	}
	return err
}

// cgroupRoots are the cgroups of a process, which take the place of those of
// the checkpoint.
func cgroupRoots(pid int) (list []CriuCgroup, err error) {
	text, err := file.Read("/proc/" + strconv.Itoa(pid) + "/cgroup")
	for line := range strings.Lines(text) {
		_, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		if controllers, path, ok := strings.Cut(rest, ":"); ok {
			list = append(list, CriuCgroup{controllers, path})
		}
	}
	return list, failed("cgroup of process", strconv.Itoa(pid), err)
}

// event does what belongs to a step of CRIU's.
func (c *restoration) event(e *CriuEvent) error {
	c.o.step(e.Script)
	switch e.Script {
	case "setup-namespaces":
		return c.namespaces(e.Pid)
	case "post-restore":
		return c.restored(e.Pid)
	case "orphan-pts-master":
		return c.terminal(e.FD)
	}
	return nil
}

// namespaces is the moment at which the namespaces are there and nothing runs in
// them.
func (c *restoration) namespaces(pid int) error {
	if ownsNamespace(c.spec, unix.CLONE_NEWNET) {
		if err := loopbackUpIn(pid); err != nil {
			return failed("loopback interface", "", err)
		}
	}
	h := &c.spec.Hooks
	if err := c.runHooks("hooks.prestart", h.Prestart, Creating, pid); err != nil {
		return err
	}
	return c.runHooks("hooks.createRuntime", h.CreateRuntime, Creating, pid)
}

// restored says which the container's first process is.
func (c *restoration) restored(pid int) error {
	stage, err := launch.Started(pid)
	if err != nil {
		return failed("restored process", strconv.Itoa(pid), err)
	}
	c.stage, c.byCRIU = stage, false
	if err := c.keepPid(); err != nil {
		return err
	}
	c.state.OwnPidNS = ownsNamespace(c.spec, unix.CLONE_NEWPID)
	c.state.OtherTimeNS = !hasNamespace(c.spec, unix.CLONE_NEWTIME) && inOtherTimeNS(pid)
	return failed("state", c.dir.Path(), c.dir.Rewrite(c.state, c.config))
}

// inOtherTimeNS reports whether a process is in a time namespace other than this
// process's: CRIU makes one, so that clocks go on where they were.
func inOtherTimeNS(pid int) bool {
	var own, others unix.Stat_t
	return unix.Stat("/proc/self/ns/time", &own) == nil && unix.Stat("/proc/"+strconv.Itoa(pid)+"/ns/time", &others) == nil && own.Ino != others.Ino
}

// terminal takes the master of the container's terminal, which CRIU made anew.
func (c *restoration) terminal(fd int) error {
	if fd < 0 {
		return unix.EPROTO
	}
	switch {
	case c.o.ConsoleSocket != "":
		err := sendFD(c.o.ConsoleSocket, "/dev/ptmx", fd)
		unix.Close(fd)
		return failed("--console-socket", c.o.ConsoleSocket, err)
	case c.o.Detach:
		unix.Close(fd)
		return failed("process.terminal", "", errNoConsoleSocket)
	case c.tty != nil:
		unix.Close(fd) // of another terminal
	default:
		c.tty = &terminal{sock: -1, master: fd}
	}
	return nil
}

// inherit gives the container this process's stdio in place of what its own was.
func (c *restoration) inherit() error {
	fd, err := unix.Openat(c.q.Images, descriptorsFile, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return failed("open", descriptorsFile, err)
	}
	defer unix.Close(fd)
	text, err := file.ReadAll(fd)
	if err != nil {
		return failed("read", descriptorsFile, err)
	}
	d := json.NewDecoder(text)
	keys := d.Strings()
	if err := d.End(); err != nil {
		return failed("read", descriptorsFile, err)
	}
	for i, key := range keys[:min(len(keys), 3)] {
		if strings.HasPrefix(key, "pipe:") || strings.HasPrefix(key, "file[") {
			// A copy: CRIU closes it, and with --shell-job looks at its own
			// standard input after that.
			fd, err := unix.FcntlInt(uintptr(i), unix.F_DUPFD_CLOEXEC, 3)
			if err != nil {
				return failed("standard descriptor", strconv.Itoa(i), err)
			}
			c.q.Inherit = append(c.q.Inherit, CriuInherit{key, firstCriuFD + len(c.fds)})
			c.fds = append(c.fds, fd)
		}
	}
	return nil
}

// join puts the container into the namespaces that its configuration names.
func (c *restoration) join() error {
	for i := range c.spec.Linux.Namespaces {
		n := &c.spec.Linux.Namespaces[i]
		if n.Path == "" {
			continue
		}
		pointer := "linux.namespaces[" + strconv.Itoa(i) + "].path " + n.Path
		fd, err := openNamespace(c.spec, n)
		if err != nil {
			return &spec.Error{Pointer: pointer, Err: err}
		}
		name := ""
		switch n.Flag {
		case unix.CLONE_NEWNET:
			name = externalNet
		case unix.CLONE_NEWPID:
			name = externalPid
		}
		if name != "" {
			c.q.Inherit = append(c.q.Inherit, CriuInherit{name, firstCriuFD + len(c.fds)})
			c.fds = append(c.fds, fd)
			continue
		}
		unix.Close(fd)
		if n.Flag == unix.CLONE_NEWCGROUP {
			return &spec.Error{Pointer: pointer, Err: errCriuCgroupNS}
		}
		c.q.Join = append(c.q.Join, CriuJoin{n.Type, n.Path})
	}
	return nil
}

// mounts says what is to be mounted where the container led out of itself.
func (c *restoration) mounts() error {
	if !hasNamespace(c.spec, unix.CLONE_NEWNS) {
		return nil
	}
	list, err := outsideMounts(c.spec, c.rootfs, c.group)
	for _, o := range list {
		c.q.Mounts = append(c.q.Mounts, CriuMount{o.name, o.source})
	}
	return err
}

// ownsNamespace reports whether the namespace is made for this container.
func ownsNamespace(s *spec.Spec, flag uint64) bool {
	for i := range s.Linux.Namespaces {
		if n := &s.Linux.Namespaces[i]; n.Flag == flag {
			return n.Path == ""
		}
	}
	return false
}

var (
	errNoImages     = errors.New("has no images of a checkpoint")
	errCriuCgroupNS = errors.New("CRIU cannot restore into a cgroup namespace: leave the path out")
)
