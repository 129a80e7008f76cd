package container

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ostia/internal/cgroup"
	"ostia/internal/launch"
	"ostia/internal/linux"
	"ostia/internal/netdev"
	"ostia/internal/plan"
	"ostia/internal/program"
	"ostia/internal/resctrl"
	"ostia/internal/spec"
	"ostia/internal/state"

	"golang.org/x/sys/unix"
)

// creation is a create or run under way.
type creation struct {
	r        *Runtime
	o        *CreateOptions
	spec     *spec.Spec
	config   string
	bundle   string // absolute
	rootfs   string // absolute
	dir      *state.Dir
	state    *state.State
	group    *cgroup.Group
	scope    *scope // nil when not systemd makes the cgroup
	stage    *launch.Stage
	plan     *plan.Plan
	hooks    *hookFiles
	tty      *terminal
	trace    *trace
	wait     bool            // create, not run
	byCRIU   bool            // made by CRIU, which is still at it
	net      *launch.Network // the network namespace being made, nil for none
	files    *machineFiles   // nil: no virtual machine
	userNS   int             // the user namespace that is joined; 0 for none
	ready    *notifier
	moved    []*netdev.Moved // network devices of the host
	netFiles *deviceFiles
	resctrl  *resctrl.Group
	landlock int // the version of the kernel's

	// For the report of a failure.
	failedOp uint32 // of the plan, 0 for none
	oomKills uint64
}

// Create makes a container that waits for Start.
func (r *Runtime) Create(o CreateOptions) error {
	c := &creation{r: r, o: &o, wait: true}
	defer c.close()
	if err := c.begin(); err != nil {
		return c.report("create", err)
	}
	if err := c.dir.Created(); err != nil {
		c.undo()
		return c.report("create", stateFailed("create", r.Root+"/"+o.ID, err))
	}
	r.warn(passedOver(c.spec.Process, c.spec.Linux.Resources))
	return nil
}

// begin makes the container up to the point where its first process waits for
// start, or has executed the entry point. If it fails, nothing is left.
func (c *creation) begin() error {
	if !state.ValidID(c.o.ID) {
		return failed("container id", strconv.Quote(c.o.ID), ErrInvalidID)
	}
	var err error
	if c.trace, err = newTrace(c.o.Trace); err != nil {
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
	if err := checkLabels(c.spec.Process, c.spec.Linux.MountLabel); err != nil {
		return err
	}
	if c.landlock, err = landlock(c.spec, c.spec.Process); err != nil {
		return err
	}
	c.trace.phase("config")
	c.net = newNetwork(c.spec)
	filter, err := compileSeccomp(c.spec)
	if err != nil {
		return err
	}
	c.trace.phase("seccomp")
	if err := c.prepareMachine(); err != nil {
		return err
	}
	if c.dir, err = state.Create(c.r.Root, c.o.ID); err != nil {
		return stateFailed("create", c.r.Root+"/"+c.o.ID, err)
	}
	if err := c.make(filter); err != nil {
		c.undo()
		return err
	}
	return nil
}

// readBundle reads and validates the configuration.
func (c *creation) readBundle() error {
	path, err := c.readText()
	if err != nil {
		return failed("config", path, err)
	}
	if c.spec, err = spec.Decode(c.config); err != nil {
		return failed("config", path, err)
	}
	if err := c.spec.Validate(); err != nil {
		return failed("config", path, err)
	}
	mapOwnIDs(c.spec)
	c.rootfs = absolute(c.bundle, c.spec.Root.Path)
	absoluteSources(c.spec.Mounts, c.bundle)
	return nil
}

// explainMissing adds what to do about a configuration that is not there.
func (c *creation) explainMissing(err error) error {
	if err != unix.ENOENT || c.o.Config != "" {
		return err
	}
	if unix.Access(c.bundle, unix.F_OK) == unix.ENOENT {
		return &advised{err, "there is no folder " + c.bundle}
	}
	return &advised{err, "name the bundle with --bundle, or write a configuration with ostia spec"}
}

// make makes the container in its locked folder.
func (c *creation) make(filter plan.Seccomp) error {
	if err := c.reserve(); err != nil {
		return err
	}
	if err := c.launch(filter); err != nil {
		return err
	}
	c.trace.phase("fork")
	if err := c.keepPid(); err != nil {
		return err
	}
	if err := c.converse(); err != nil {
		return err
	}
	c.trace.phase("stage")
	if c.wait {
		c.r.debugReady("init: closing the pipe to signal completion: the container waits for start")
	} else {
		c.r.debugReady("init: closing the pipe to signal completion: the entry point is executed")
	}
	return c.tellPid()
}

// reserve writes the container's state and makes what its first process is to
// be born into.
func (c *creation) reserve() error {
	var group *cgroup.Group
	var err error
	if c.scope != nil {
		group, err = c.scope.resolve(c.spec, c.o.ID, c.r.mayGoWithout())
	} else {
		group, err = c.r.resolveCgroup(c.spec.Linux.CgroupsPath, c.o.ID)
	}
	if err != nil {
		return err
	}
	c.group = group
	c.state = &state.State{
		Version: spec.Version, ID: c.o.ID, Bundle: c.bundle, Rootfs: c.rootfs,
		Created: time.Now().UTC().Format(time.RFC3339Nano), Owner: os.Geteuid(),
		Annotations: c.spec.Annotations, NoNewKeyring: c.o.NoNewKeyring, Config: c.config,
		Machine:   c.files != nil,
		Poststart: len(c.spec.Hooks.Poststart) > 0, Poststop: len(c.spec.Hooks.Poststop) > 0,
		Resctrl: c.spec.Linux.IntelRdt != nil,
	}
	c.state.OwnPidNS = !c.byCRIU && ownsNamespace(c.spec, unix.CLONE_NEWPID)
	c.state.Cgroup = group
	if c.scope != nil {
		c.state.Unit = c.scope.unit
	}
	if c.state.RootfsMount, err = rootfsMount(c.spec, c.rootfs); err != nil {
		return err
	}
	// First what will be made, then the making: a runtime killed in between
	// leaves a state that delete can clean up by.
	if err := c.dir.Write(c.state, c.config); err != nil {
		return stateFailed("state", c.dir.Path(), err)
	}
	c.trace.phase("state")
	c.activate()
	if err := c.notify(); err != nil {
		return err
	}
	if group != nil && c.scope == nil {
		if err := c.r.createCgroup(c); err != nil {
			return err
		}
	}
	if err := c.createResctrl(); err != nil {
		return err
	}
	c.trace.phase("cgroup")
	return nil
}

// keepPid writes down which the container's first process is.
func (c *creation) keepPid() (err error) {
	c.state.Pid = c.stage.Pid
	if c.state.StartTime, _, err = state.StartTime(c.stage.Pid); err == nil {
		err = c.dir.WriteProcess(c.state)
	}
	return stateFailed("state", c.dir.Path(), err)
}

// launch compiles the plan and forks the stage with all its descriptors.
func (c *creation) launch(filter plan.Seccomp) error {
	f, err := newFiles(c.o.ListenFDs, c.o.PreserveFDs)
	if err != nil {
		return err
	}
	defer f.close()
	in := &plan.Input{
		Spec: c.spec, Process: c.spec.Process, ID: c.o.ID, Rootfs: c.rootfs, Seccomp: filter,
		Host: plan.Host{ExecveCheck: linux.HasExecveCheck(), Confined: confined(c.spec.Process), Landlock: c.landlock},
		FDs:  plan.NoFDs(len(f.list)),
		Wait: c.wait, NoPivot: c.o.NoPivot, NoNewKeyring: c.o.NoNewKeyring, Trace: c.trace != nil,
	}
	c.setEnvironment(in)
	if c.o.NoPivot {
		if in.Host.Bare, err = bareMounts(c.rootfs); err != nil {
			return err
		}
	}
	// Without a cgroup the pid file is all that a delete finds the process by:
	// the stage waits for a word, which comes after that is written.
	in.Ask = c.wait || c.group == nil || filter.Program != nil && !filter.Reports || len(c.spec.Hooks.StartContainer) > 0
	sock, theirs, err := launch.Socket()
	if err != nil {
		return failed("socketpair", "", err)
	}
	in.FDs.Sync = f.add(theirs)
	sys := &syscall.SysProcAttr{}
	for _, open := range []func(*files, *plan.Input, *syscall.SysProcAttr) error{
		c.openFifo, c.openConsole, c.openHooks, c.openTrace, c.openMachine, keepUpToHere, c.openNamespaces, c.openCgroup, c.openResctrl, c.openMounts, c.openDevices, takeTree,
	} {
		if err := open(f, in, sys); err != nil {
			unix.Close(sock)
			return err
		}
	}
	c.plan, err = plan.Compile(in)
	c.trace.phase("plan")
	if err == nil && c.net != nil {
		err = c.takeNetwork(f, in, sys)
	}
	if err != nil {
		unix.Close(sock)
		return err
	}
	c.stage, err = launch.Start(c.plan, f.list, sys, -1, sock, c.dir.Path())
	if err == syscall.ENOSYS && joinByFile(f, in, sys) {
		if c.plan, err = plan.Compile(in); err == nil {
			c.stage, err = launch.Start(c.plan, f.list, sys, -1, sock, c.dir.Path())
		}
	}
	if err != nil {
		unix.Close(sock)
		return failed("start the container's first process", "", explainFork(err, sys))
	}
	c.r.debugForked(c.stage.Pid, c.spec.Process, &filter)
	return nil
}

// takeNetwork gives the stage the network namespace that was made meanwhile.
// The plan is compiled again if it could not be made: the clone is to make one,
// or to say why not.
func (c *creation) takeNetwork(f *files, in *plan.Input, sys *syscall.SysProcAttr) (err error) {
	fd := c.net.Take()
	c.net = nil
	if fd >= 0 {
		f.fill(in.FDs.Network, fd)
		return nil
	}
	in.FDs.Network = -1
	in.Cloned |= unix.CLONE_NEWNET
	sys.Cloneflags = uintptr(in.Cloned)
	c.plan, err = plan.Compile(in)
	return err
}

// keepUpToHere says that what the stage is given from now on is for the making
// of the container alone: a container that waits for start does not hold it.
func keepUpToHere(f *files, in *plan.Input, _ *syscall.SysProcAttr) error {
	in.FDs.Kept = len(f.list) - 1
	return nil
}

// explainFork adds the usual reason to a failed fork.
func explainFork(err error, sys *syscall.SysProcAttr) error {
	switch {
	case err == syscall.EPERM && sys.Cloneflags&syscall.CLONE_NEWUSER == 0 && os.Geteuid() != 0:
		return &advised{err, "an ordinary user needs a user namespace (ostia spec --rootless)"}
	case err == syscall.ENOSPC:
		return &advised{err, "a limit of namespaces is reached (/proc/sys/user/max_*_namespaces)"}
	case (err == syscall.ENOMEM || err == syscall.E2BIG || err == syscall.ENOENT) && sys.UseCgroupFD:
		// E2BIG: there was no page for the one argument that a stage has. ENOENT: no
		// inode for /proc/self/fd/N.
		return &advised{err, "the memory limit is too small to start in (linux.resources.memory.limit)"}
	case err == syscall.EBUSY && sys.UseCgroupFD:
		return &advised{err, "the cgroup hands controllers to groups below it, and may then hold no process: choose another linux.cgroupsPath, or empty its cgroup.subtree_control"}
	case err == syscall.EAGAIN:
		return &advised{err, "a limit of processes is reached (pids cgroup or RLIMIT_NPROC)"}
	}
	return err
}

func (c *creation) openFifo(f *files, in *plan.Input, _ *syscall.SysProcAttr) error {
	if !in.Wait {
		return nil
	}
	fd, err := c.dir.MakeFifo()
	if err != nil {
		return stateFailed("exec fifo", c.dir.Path(), err)
	}
	in.FDs.Start = f.add(fd)
	return nil
}

func (c *creation) openTrace(f *files, in *plan.Input, _ *syscall.SysProcAttr) error {
	if c.trace == nil {
		return nil
	}
	fd, err := c.trace.memfd()
	if err != nil {
		return failed("--trace", c.o.Trace, err)
	}
	in.FDs.Trace = f.lend(fd)
	return nil
}

// converse serves the stage until it waits for start or has executed the entry
// point.
func (c *creation) converse() error {
	for {
		r, err := c.stage.Next()
		if err == launch.ErrClosed {
			return c.closed()
		}
		if err != nil {
			return failed("report of the stage", "", err)
		}
		if r.Op != 0 {
			return c.failed(&r)
		}
		done, err := c.milestone(&r)
		if errors.Is(err, launch.ErrClosed) {
			continue // its last report says why, or it was killed
		}
		if done || err != nil {
			return err
		}
	}
}

// closed is the stage's end of the socket closed with no report: for run, the
// entry point has been executed, unless the process turns out to be dead. Who
// waits for its end is told then.
func (c *creation) closed() error {
	if c.wait || c.o.Detach && !c.stage.Executed() {
		return errKilledEarly
	}
	return nil
}

func (c *creation) milestone(r *launch.Report) (done bool, err error) {
	switch r.Milestone {
	case plan.Forked:
		if err = c.stage.Adopt(int(r.Value)); err == nil {
			err = c.keepPid()
		}
		return false, failed("adopt process", strconv.Itoa(int(r.Value)), err)
	case plan.WantCgroup:
		err = c.enter()
		c.trace.phase("systemd")
	case plan.WantMaps:
		err = writeMappings(c.stage.Pid, &c.spec.Linux)
	case plan.WantDevices:
		err = c.moveDevices()
	case plan.WantHooks:
		err = c.runtimeHooks()
		if err == nil {
			err = c.tellHooks(Creating)
		}
	case plan.WantCopyUp:
		err = copyUp(c.stage, int(r.Value), int(r.HeadLen))
	case plan.WantIDMap:
		err = c.idmapTaken(int(r.Value), int(r.HeadLen))
	case plan.WantTarget:
		err = makeTarget(c.stage, int(r.Value), c.plan.Targets[r.HeadLen])
	case plan.WantMode:
		return false, failed("mode", "", tellMode(c.stage, r.Value))
	case plan.WantHome:
		return false, failed("HOME", "", c.stage.Tell(homeOf("/proc/"+strconv.Itoa(c.stage.Pid)+"/root", c.spec.Process.User.UID)))
	case plan.WantListener:
		err = c.passListener(int(r.Value))
	case plan.WantWord:
		j := judge{stage: c.stage, plan: c.plan, process: c.spec.Process, spec: c.spec}
		err, done = j.approve(r), c.wait
		if err == nil {
			err = c.startPasst()
		}
		if err == nil {
			err = c.tellHooks(Created)
		}
	default:
		return false, errors.New("the stage said something unknown")
	}
	if err != nil {
		return false, err
	}
	err = c.stage.Go()
	return done && err == nil, failed("go on", "", err)
}

// failed is the error for a failed op, with what a hook has printed.
func (c *creation) failed(r *launch.Report) error {
	c.failedOp = r.Op
	note, _ := c.plan.Failed(r.Op)
	note.Verb = ""
	pointer, hook := strings.TrimSuffix(note.String(), ": "), hookName(note.Pointer, note.Index)
	switch r.Errno {
	case unix.ECANCELED:
		return &spec.Error{Pointer: pointer, Err: &hookError{hook, program.Ended(unix.WaitStatus(r.Value), ""), c.hookSaid()}}
	case unix.ETIME:
		return &spec.Error{Pointer: pointer, Err: &hookError{hook, "took longer than its timeout and was killed", ""}}
	}
	j := judge{stage: c.stage, plan: c.plan, process: c.spec.Process, spec: c.spec}
	return j.failure(r)
}

// undo removes everything that begin made.
func (c *creation) undo() {
	c.returnDevices()
	if c.stage != nil {
		c.stage.Close()
		c.stage.Kill()
	}
	if c.group != nil && (c.scope == nil || c.scope.started) {
		c.oomKills, _ = c.group.OOMKills()
		_ = c.group.Kill(unix.SIGKILL)
		if c.scope != nil {
			_ = c.scope.manager.Stop(c.scope.unit)
		}
		_ = c.group.Remove()
	}
	if c.resctrl != nil {
		_ = c.resctrl.Remove()
	}
	if c.state != nil {
		_ = takeOffMounts(c.state)
	}
	_ = c.dir.Remove()
	c.dir.Close()
	c.dir = nil
	if c.stage != nil && len(c.spec.Hooks.Poststop) > 0 {
		// What prestart and createRuntime hooks have made is theirs to undo
		// (runtime.md#lifecycle). The error to tell is why all this is so.
		c.hookRunner().stopped(c.spec.Hooks.Poststop, nil)
	}
}

func (c *creation) close() {
	if c.scope != nil && c.scope.manager != nil {
		c.scope.manager.Close()
	}
	if c.net != nil {
		if fd := c.net.Take(); fd >= 0 {
			unix.Close(fd)
		}
	}
	if c.stage != nil {
		c.stage.Close()
	}
	if c.userNS != 0 {
		unix.Close(c.userNS)
	}
	c.ready.close()
	c.closeDevices()
	c.files.close()
	if c.dir != nil {
		c.dir.Close()
	}
	_ = c.trace.write(c.plan) // the container runs: a lost trace is no failure of it
}

// absolute is path, taken from dir if it is relative, cleaned.
func absolute(dir, path string) string {
	if path == "" {
		return dir
	}
	if path[0] != '/' {
		path = dir + "/" + path
	}
	for len(path) > 1 && path[len(path)-1] == '/' {
		path = path[:len(path)-1]
	}
	return path
}
