package container

import (
	"errors"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ostia/internal/cgroup"
	"ostia/internal/file"
	"ostia/internal/launch"
	"ostia/internal/linux"
	"ostia/internal/plan"
	"ostia/internal/program"
	"ostia/internal/spec"
	"ostia/internal/state"

	"golang.org/x/sys/unix"
)

// execution is an exec under way.
type execution struct {
	r        *Runtime
	o        *ExecOptions
	state    *state.State
	spec     *spec.Spec
	process  *spec.Process
	stage    *launch.Stage
	plan     *plan.Plan
	tty      *terminal
	trace    *trace
	group    *cgroup.Group // where to go instead of the container's; may be nil
	placed   bool          // into the cgroup by systemd
	landlock int           // the version of the kernel's
}

// Exec runs another process in the container and returns its exit status (0
// with Detach).
func (r *Runtime) Exec(id string, o ExecOptions) (status int, err error) {
	e := &execution{r: r, o: &o}
	if e.trace, err = newTrace(o.Trace); err != nil {
		return 0, err
	}
	d, s, err := r.view(id)
	if err != nil {
		return 0, err
	}
	defer d.Close()
	switch st, err := r.status(d, s); {
	case err != nil:
		return 0, err
	case st == Paused && !o.IgnorePaused:
		return 0, failed("exec", id, ErrPaused)
	case st != Running && st != Paused && st != Created:
		return 0, failed("exec", id, &statusError{ErrNotRunning, st})
	}
	e.state = s
	if e.spec, err = config(s); err != nil {
		return 0, err
	}
	if s.OtherTimeNS {
		e.spec.Linux.Namespaces = append(e.spec.Linux.Namespaces, spec.Namespace{Type: "time", Flag: unix.CLONE_NEWTIME})
	}
	if e.process, err = e.makeProcess(); err != nil {
		return 0, err
	}
	if err := checkLabels(e.process, ""); err != nil {
		return 0, err
	}
	if e.landlock, err = landlock(e.spec, e.process); err != nil {
		return 0, err
	}
	e.setEnvironment()
	e.trace.phase("config")
	if !o.Detach {
		launch.Forward()
	}
	err = e.launch(d)
	if (errors.Is(err, unix.EBUSY) || errors.Is(err, unix.ENOENT)) && len(o.Cgroups) == 0 && s.Cgroup != nil {
		// Its own cgroup has controllers for those below, and may then have no
		// process on version 2, or it is gone: be where its first process is, as
		// with runc.
		if e.group = s.Cgroup.Moved(s.Pid); e.group != nil {
			err = e.launch(d)
		}
	}
	if errors.Is(err, unix.EACCES) && s.Unit != nil {
		// Not allowed to enter the container's cgroup from here: systemd is.
		e.placed = true
		err = e.launch(d)
	}
	if err != nil {
		return 0, e.explain(err)
	}
	defer e.stage.Close()
	defer func() { _ = e.trace.write(e.plan) }() // a lost trace is no failure of the program
	if err := e.converse(); err != nil {
		e.stage.Close()
		e.stage.Kill()
		return 0, e.explain(err)
	}
	e.trace.phase("stage")
	r.debugReady("setns_init: about to exec: the program is executed")
	if err := tellPid(e.stage, o.PidFile, o.PidfdSocket); err != nil {
		e.stage.Kill()
		return 0, err
	}
	r.warn(passedOver(e.process, nil))
	if o.Detach {
		return 0, nil
	}
	return e.tty.attend(e.stage)
}

// explain is the error of an exec; the container's end meanwhile is reason
// enough for whatever has failed.
func (e *execution) explain(err error) error {
	// ESRCH: it is ending, so it has no namespaces any more.
	if alive, unknown := e.state.Alive(); unknown == nil && !alive || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOMEM) && e.ending() {
		return failed("exec", e.state.ID, ErrNotRunning)
	}
	return err
}

// ending reports whether the container's first process is about to end: a pid
// namespace takes no new process from then on, which fork(2) calls ENOMEM.
func (e *execution) ending() bool {
	fd, err := e.state.Process()
	if err != nil {
		return err == unix.ESRCH
	}
	defer unix.Close(fd)
	return program.EndsWithin(fd, time.Second)
}

// setEnvironment completes the environment of the process.
func (e *execution) setEnvironment() {
	env, home := environment(e.process.Env)
	if !home {
		env = append(env, homeOf("/proc/"+strconv.Itoa(e.state.Pid)+"/root", e.process.User.UID))
	}
	e.process.Env = env
}

// makeProcess is the process of --process, or the container's own changed by
// the options.
func (e *execution) makeProcess() (*spec.Process, error) {
	o := e.o
	if o.Process != "" {
		text, err := file.Read(o.Process)
		if err != nil {
			return nil, failed("--process", o.Process, err)
		}
		p, err := spec.DecodeProcess(text)
		if err != nil {
			return nil, failed("--process", o.Process, err)
		}
		if err := p.Validate(); err != nil {
			return nil, failed("--process", o.Process, err)
		}
		// A process that says nothing of them is confined as the container is,
		// as with runc and crun.
		if p.ApparmorProfile == "" {
			p.ApparmorProfile = e.spec.Process.ApparmorProfile
		}
		if p.SelinuxLabel == "" {
			p.SelinuxLabel = e.spec.Process.SelinuxLabel
		}
		return p, nil
	}
	p := *e.spec.Process
	p.Args, p.Terminal = o.Args, o.TTY
	p.ConsoleSize = nil
	p.Env = append(p.Env[:len(p.Env):len(p.Env)], o.Env...)
	if o.Cwd != "" {
		p.Cwd = o.Cwd
	}
	if o.User != "" {
		u, err := parseUser(o.User)
		if err != nil {
			return nil, failed("--user", strconv.Quote(o.User), err)
		}
		u.Umask = p.User.Umask
		p.User = u
	}
	p.User.AdditionalGids = append(p.User.AdditionalGids[:len(p.User.AdditionalGids):len(p.User.AdditionalGids)], o.AdditionalGids...)
	if len(o.Caps) > 0 {
		caps := spec.Capabilities{}
		if p.Capabilities != nil {
			caps = *p.Capabilities
		}
		for _, name := range o.Caps {
			bit, ok := spec.CapabilityBit(strings.ToUpper(name))
			if !ok { // in a configuration that is a warning; who types it wants the capability
				return nil, failed("--cap", name, spec.UnknownCapability(name))
			}
			caps.Bounding |= 1 << bit
			caps.Effective |= 1 << bit
			caps.Permitted |= 1 << bit
			// Only what is inheritable can be ambient (capabilities(7)): as with
			// runc, a container without the one is not asked for the other.
			if caps.Inheritable != 0 {
				caps.Ambient |= 1 << bit
			}
		}
		p.Capabilities = &caps
	}
	if o.NoNewPrivs != nil {
		p.NoNewPrivileges = *o.NoNewPrivs
	}
	if o.Apparmor != "" {
		p.ApparmorProfile = o.Apparmor
	}
	if o.ProcessLabel != "" {
		p.SelinuxLabel = o.ProcessLabel
	}
	return &p, p.Validate()
}

// parseUser reads UID or UID:GID.
func parseUser(s string) (spec.User, error) {
	uid, gid, both := strings.Cut(s, ":")
	u, err := strconv.ParseUint(uid, 10, 32)
	if err != nil {
		return spec.User{}, errUser
	}
	user := spec.User{UID: uint32(u)}
	if both {
		g, err := strconv.ParseUint(gid, 10, 32)
		if err != nil {
			return spec.User{}, errUser
		}
		user.GID = uint32(g)
	}
	return user, nil
}

func (e *execution) launch(d *state.Dir) error {
	f, err := newFiles(e.o.ListenFDs, e.o.PreserveFDs)
	if err != nil {
		return err
	}
	defer f.close()
	filter, err := compileSeccomp(e.spec)
	if err != nil {
		return err
	}
	in := &plan.Input{
		Spec: e.spec, Process: e.process, ID: e.state.ID, Rootfs: e.state.Rootfs, Seccomp: filter,
		Host: plan.Host{ExecveCheck: linux.HasExecveCheck(), Confined: confined(e.process), Landlock: e.landlock},
		FDs:  plan.NoFDs(len(f.list)),
		Exec: true, Trace: e.trace != nil, NoNewKeyring: e.state.NoNewKeyring,
		Ask: filter.Program != nil && !filter.Reports,
	}
	sys := &syscall.SysProcAttr{}
	sock, theirs, err := launch.Socket()
	if err != nil {
		return failed("socketpair", "", err)
	}
	in.FDs.Sync = f.add(theirs)
	if err := e.open(f, in, sys); err != nil {
		unix.Close(sock)
		return err
	}
	if err := e.openProxy(f, in, d); err != nil {
		unix.Close(sock)
		return err
	}
	err = e.start(f, in, sys, sock, d.Path())
	if err == launch.ErrPidNS {
		// The stage joins the pid namespace and forks once more, which takes 0.3 ms.
		in.Cloned = 0
		err = e.start(f, in, sys, sock, d.Path())
	}
	if err != nil {
		unix.Close(sock)
		return err
	}
	e.trace.phase("fork")
	e.r.debugForked(e.stage.Pid, e.process, &filter)
	return nil
}

// open opens what the stage of an exec needs.
func (e *execution) open(f *files, in *plan.Input, sys *syscall.SysProcAttr) error {
	pidfd, err := process(e.state)
	if err != nil {
		return failed("exec", e.state.ID, err)
	}
	in.FDs.PidNS = f.add(pidfd)
	ownStdio(&e.spec.Linux)
	in.Cloned = forksIntoPidNS(e.spec.Linux.Namespaces)
	if e.tty, err = openTerminal(e.process.Terminal, e.o.ConsoleSocket, e.o.Detach, f, in); err != nil {
		return err
	}
	if e.trace != nil {
		fd, err := e.trace.memfd()
		if err != nil {
			return failed("--trace", e.o.Trace, err)
		}
		in.FDs.Trace = f.lend(fd)
	}
	if err := openResctrl(e.spec, e.state.ID, f, in); err != nil {
		return err
	}
	g := processes(e.state.Cgroup, e.state.Unit)
	if e.group != nil {
		g = e.group
	}
	if g == nil {
		return nil
	}
	if len(e.o.Cgroups) > 0 {
		if g, err = g.Sub(e.o.Cgroups...); err != nil {
			return failed("--cgroup", strings.Join(e.o.Cgroups, " "), err)
		}
	}
	if e.placed {
		in.Placed = true
		return nil
	}
	err = joinCgroup(g, f, in, sys)
	if err != nil && len(e.o.Cgroups) > 0 {
		err = failed("--cgroup", strings.Join(e.o.Cgroups, " "), &addError{err})
	}
	return err
}

// addError is a cgroup below the container's that a process cannot enter, in
// runc's words.
type addError struct{ err error }

func (e *addError) Error() string { return "error adding pid to it: " + e.err.Error() }
func (e *addError) Unwrap() error { return e.err }

// start compiles the plan and forks its stage.
func (e *execution) start(f *files, in *plan.Input, sys *syscall.SysProcAttr, sock int, dir string) (err error) {
	if e.plan, err = plan.CompileExec(in); err != nil {
		return err
	}
	e.trace.phase("plan")
	pidNS := -1
	if in.Cloned != 0 {
		pidNS = int(f.list[in.FDs.PidNS])
	}
	e.stage, err = launch.Start(e.plan, f.list, sys, pidNS, sock, dir)
	if err == syscall.ENOSYS && joinByFile(f, in, sys) {
		return e.start(f, in, sys, sock, dir)
	}
	if err != nil && err != launch.ErrPidNS {
		return failed("start the process", "", explainFork(err, sys))
	}
	return err
}

// forksIntoPidNS returns CLONE_NEWPID if the fork can make its child in the
// container's pid namespace: there is one, and nobody need join its user
// namespace first.
func forksIntoPidNS(namespaces []spec.Namespace) (flag uint64) {
	for i := range namespaces {
		switch namespaces[i].Flag {
		case unix.CLONE_NEWUSER:
			return 0
		case unix.CLONE_NEWPID:
			flag = unix.CLONE_NEWPID
		}
	}
	return flag
}

// converse serves the stage until it has executed the program.
func (e *execution) converse() error {
	for {
		r, err := e.stage.Next()
		if err == launch.ErrClosed {
			if e.o.Detach && !e.stage.Executed() {
				return errKilledEarly
			}
			return nil
		}
		if err != nil {
			return failed("report of the stage", "", err)
		}
		j := judge{stage: e.stage, plan: e.plan, process: e.process, spec: e.spec}
		switch {
		case r.Op != 0:
			return j.failure(&r)
		case r.Milestone == plan.Forked:
			err = e.stage.Adopt(int(r.Value))
			if err == nil {
				continue
			}
		case r.Milestone == plan.WantCgroup:
			err = attach(e.state.Unit, e.stage.Pid)
		case r.Milestone == plan.WantListener:
			err = passListener(e.stage.Take, int(r.Value), e.spec.Linux.Seccomp, func(metadata string) []byte {
				return e.state.ProcessState(Running, e.stage.Pid, metadata)
			})
		case r.Milestone == plan.WantWord:
			err = j.approve(&r)
		default:
			err = errors.New("the stage said something unknown")
		}
		if err == nil {
			err = e.stage.Go()
		}
		if err != nil && !errors.Is(err, launch.ErrClosed) { // else its last report says why, or it was killed
			return err
		}
	}
}
