package container

import (
	"errors"
	"strconv"
	"syscall"
	"time"

	"ostia/internal/plan"
	"ostia/internal/program"
	"ostia/internal/spec"
	"ostia/internal/state"

	"golang.org/x/sys/unix"
)

// The handlers: what runs the entry point.
const (
	HandlerNamespaces = "namespaces"
	HandlerMachine    = "vm"
)

// The annotations that choose a handler: ours, and crun's.
const (
	handlerAnnotation     = "org.ostia.handler"
	crunHandlerAnnotation = "run.oci.handler"
)

// sandboxAnnotations say of a pod's first container, which only holds its
// namespaces, that it is that: containerd's and CRI-O's.
var sandboxAnnotations = [...]string{"io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"}

// handler is the one that the caller, or else the configuration, asks for. A
// machine for a pod's sandbox would take the network from the one that is of use.
func (r *Runtime) handler(s *spec.Spec) (string, error) {
	for _, name := range sandboxAnnotations {
		if s.Annotations[name] == "sandbox" {
			return HandlerNamespaces, nil
		}
	}
	if r.Handler != "" {
		return r.Handler, nil
	}
	if h := s.Annotations[handlerAnnotation]; h != "" {
		if h != HandlerNamespaces && h != HandlerMachine {
			return "", failed("annotations "+handlerAnnotation, strconv.Quote(h), errHandler)
		}
		return h, nil
	}
	switch h := s.Annotations[crunHandlerAnnotation]; h {
	case "krun":
		return HandlerMachine, nil
	case "":
		return HandlerNamespaces, nil
	default:
		return "", failed("annotations "+crunHandlerAnnotation, strconv.Quote(h), errHandler)
	}
}

// machineProgram is the handler's other half: monitor, proxy and agent.
const machineProgram = "ostia-vmm"

// machineFiles are what a machine starts from.
type machineFiles struct {
	program, kvm, kernel, initrd, setup int
	wire                                int // /dev/net/tun, -1 on a host without, or a socket to passt
	passt                               int // the other end of that, -1 without
}

func (f *machineFiles) close() {
	if f == nil {
		return
	}
	for _, fd := range [...]int{f.program, f.kvm, f.kernel, f.initrd, f.setup, f.wire, f.passt} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// prepareMachine has a machine prepared if the container is to be one: whether
// this host can run it is known before anything is made.
func (c *creation) prepareMachine() error {
	h, err := c.r.handler(c.spec)
	if err != nil || h != HandlerMachine {
		return err
	}
	switch {
	case c.o.ListenFDs+c.o.PreserveFDs > 0:
		return failed("--preserve-fds or LISTEN_FDS", strconv.Itoa(c.o.ListenFDs+c.o.PreserveFDs), errMachineFDs)
	case !hasNamespace(c.spec, unix.CLONE_NEWNS):
		return &spec.Error{Pointer: "linux.namespaces", Err: errMachineMounts}
	case len(c.spec.Extensions.Landlock) > 0:
		return &spec.Error{Pointer: "annotations." + c.spec.Extensions.Landlock[0].Annotation, Err: errMachineRules}
	}
	files := &machineFiles{-1, -1, -1, -1, -1, -1, -1}
	if files.program, err = openMachineProgram(); err != nil {
		return err
	}
	c.files = files
	defer c.trace.phase("machine")
	return failed("microVM handler", "", files.prepare(c.config, c.rootfs))
}

// openMachineProgram opens the program next to this one, never one of $PATH.
func openMachineProgram() (int, error) {
	path, err := program.Beside(machineProgram)
	if err != nil {
		return -1, failed("microVM handler", machineProgram, err)
	}
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, failed("microVM handler", path, err)
	}
	return fd, nil
}

// high duplicates a descriptor to a number above those that a fork of few files
// moves into place.
func high(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 32) }

// prepare runs the program's prepare on the host, and takes what it answers:
// four to six descriptors, or why not.
func (m *machineFiles) prepare(config, rootfs string) error {
	text, err := unix.MemfdCreate("config", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(text)
	if _, err := unix.Pwrite(text, []byte(config), 0); err != nil {
		return err
	}
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(p[0])
	exe, err := high(m.program)
	if err != nil {
		return err
	}
	defer unix.Close(exe)
	pid, err := syscall.ForkExec("/proc/self/fd/"+strconv.Itoa(exe), []string{machineProgram, "prepare", rootfs}, &syscall.ProcAttr{
		Env:   machineEnv(),
		Files: []uintptr{none, none, 2, uintptr(text), uintptr(p[1])},
		Sys:   &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
	unix.Close(p[1])
	if err != nil {
		return err
	}
	err = m.take(p[0])
	for {
		if _, e := unix.Wait4(pid, nil, 0, nil); e != unix.EINTR {
			return err
		}
	}
}

// machineEnv is what the program may know of our environment: where an ordinary
// user's cache is, and where programs are.
func machineEnv() (env []string) {
	for _, name := range [...]string{"HOME", "XDG_CACHE_HOME", "PATH"} {
		if v, ok := unix.Getenv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

func (m *machineFiles) take(sock int) error {
	answer, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(4*6))
	var n, nOOB int
	var err error
	for {
		if n, nOOB, _, _, err = unix.Recvmsg(sock, answer, oob, unix.MSG_CMSG_CLOEXEC); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return err
	}
	said := program.OneLine(string(answer[:n]))
	if nOOB == 0 {
		if said == "" {
			said = "its preparation was killed"
		}
		return errors.New(said)
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:nOOB])
	if err != nil || len(msgs) != 1 {
		return unix.EPROTO
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) < 4 {
		return unix.EPROTO
	}
	m.kvm, m.kernel, m.initrd, m.setup = fds[0], fds[1], fds[2], fds[3]
	if len(fds) > 4 {
		m.wire = fds[4]
	}
	if len(fds) > 5 {
		m.passt = fds[5]
	}
	return nil
}

// openMachine gives the stage what the monitor will need.
func (c *creation) openMachine(f *files, in *plan.Input, _ *syscall.SysProcAttr) error {
	if c.files == nil {
		return nil
	}
	control, err := c.dir.Listen()
	if err != nil {
		return failed("monitor's socket", c.dir.Path(), err)
	}
	m := &plan.Machine{Args: []string{machineProgram, "monitor"}, Network: hasNamespace(c.spec, unix.CLONE_NEWNET)}
	keep := func(fd int) {
		m.Keep = append(m.Keep, fd)
		m.Args = append(m.Args, strconv.Itoa(fd))
	}
	for _, fd := range [...]int{c.files.kvm, c.files.kernel, c.files.initrd, c.files.setup} {
		keep(f.lend(fd))
	}
	keep(f.add(control))
	reason, err := c.dir.MakeReason()
	if err != nil {
		return failed("reason file", c.dir.Path(), err)
	}
	keep(f.add(reason))
	absent := func() { m.Args = append(m.Args, "-") }
	if c.files.wire >= 0 {
		keep(f.lend(c.files.wire))
	} else {
		absent()
	}
	if c.trace != nil {
		keep(in.FDs.Trace)
	} else {
		absent()
	}
	// Who waits for the end says why there was no status; else nobody would.
	if c.wait || c.o.Detach {
		m.Args = append(m.Args, "alone")
	} else {
		m.Args = append(m.Args, "waited-for")
	}
	m.Program = f.lend(c.files.program)
	in.Machine, in.Ask, in.Seccomp = m, true, plan.Seccomp{}
	return nil
}

// openProxy gives the stage of an exec what the proxy needs: a connection to
// the monitor, and the process.
func (e *execution) openProxy(f *files, in *plan.Input, d *state.Dir) error {
	if !e.state.Machine {
		return nil
	}
	if e.o.ListenFDs+e.o.PreserveFDs > 0 {
		return failed("--preserve-fds or LISTEN_FDS", strconv.Itoa(e.o.ListenFDs+e.o.PreserveFDs), errMachineFDs)
	}
	fd, err := openMachineProgram()
	if err != nil {
		return err
	}
	m := &plan.Machine{Program: f.add(fd)}
	sock, err := d.Connect()
	if err != nil {
		return failed("connect to the monitor of", e.state.ID, err)
	}
	process, err := unix.MemfdCreate("process", unix.MFD_CLOEXEC)
	if err != nil {
		unix.Close(sock)
		return failed("process", "", err)
	}
	m.Keep = []int{f.add(sock), f.add(process)}
	if _, err := unix.Pwrite(process, e.process.Encode(), 0); err != nil {
		return failed("process", "", err)
	}
	stdio := "pipes"
	if e.process.Terminal {
		stdio = "terminal"
	}
	m.Args = []string{machineProgram, "exec", strconv.Itoa(m.Keep[0]), strconv.Itoa(m.Keep[1]), stdio}
	in.Machine, in.Ask, in.Seccomp = m, true, plan.Seccomp{}
	return nil
}

// What the agent of a running machine is asked.
const (
	askList    = "list"    // its processes, as a table
	askKillAll = "killall" // all of them get a signal
	askUpdate  = "update"  // limits that the guest's kernel holds
	askKills   = "kills"   // how many of its processes the OOM killer has ended
)

// askSeconds is how long an answer is waited for that a command is for.
const askSeconds = 20

// askMachine asks the agent by a program that speaks its language.
func (r *Runtime) askMachine(id, what, value string, seconds int) (string, error) {
	low, err := openMachineProgram()
	if err != nil {
		return "", err
	}
	defer unix.Close(low)
	fd, err := high(low)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	p := program.Program{Path: "/proc/self/fd/" + strconv.Itoa(fd), Args: []string{machineProgram, "ask", r.Root, id, what}, Stdin: value, Timeout: &seconds}
	said, status, err := p.Run()
	if err == nil && status != 0 {
		err = errors.New(program.OneLine(said))
	}
	return said, failed("ask the guest", "", err)
}

// guestKills is how many processes the OOM killer of a machine's guest has ended.
// It is not known, which is no failure, of one that does not run or is busy.
func (r *Runtime) guestKills(id string) (kills uint64, known bool) {
	if i, err := r.State(id); err != nil || i.Status != Running {
		return 0, false
	}
	said, err := r.askMachine(id, askKills, "", 2)
	if err == nil {
		kills, err = strconv.ParseUint(said, 10, 64)
	}
	return kills, err == nil
}

// signalMachine stops a monitor, and with it the guest, or lets it go on. The
// freezer cannot: before Linux 6.14 KVM has a kernel thread in the cgroup, which
// never freezes.
func signalMachine(s *state.State, sig syscall.Signal) error {
	fd, err := process(s)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil {
		return err
	}
	// Its processors leave the guest one by one.
	for wait := time.Millisecond; machineStopped(s) != (sig == unix.SIGSTOP); wait *= 2 {
		if wait > 4*time.Second {
			return errMachineStuck
		}
		time.Sleep(wait)
	}
	return nil
}

func machineStopped(s *state.State) bool {
	_, process, err := state.StartTime(s.Pid)
	return err == nil && process == 'T'
}

// MachineError is a machine that ended without its entry point's status.
type MachineError struct {
	Status int // of the monitor's process, as a shell would have it
	Reason string
}

func (e *MachineError) Error() string { return "the container's machine failed: " + e.Reason }

// machineEnd is the status of a machine's container: what the monitor ended
// with, unless it had to give a reason, or was killed and could give none.
func (r *Runtime) machineEnd(id string, status int) (int, error) {
	d, err := state.View(r.Root, id)
	if err != nil {
		return status, nil // deleted meanwhile: the status is all there is
	}
	defer d.Close()
	reason, err := machineFault(d)
	if err != nil || reason == "" {
		return status, err
	}
	return status, &MachineError{status, reason}
}

// machineFault is why a machine ended without its entry point's status, "" if
// it did not.
func machineFault(d *state.Dir) (string, error) {
	reason, err := d.Reason()
	switch {
	case err != nil:
		return "", failed("reason file", d.Path(), err)
	case reason == "":
		return "its monitor was killed", nil
	case reason == state.ReasonNone:
		return "", nil
	}
	return program.OneLine(reason), nil
}

var (
	errHandler       = errors.New("unknown handler: use vm or namespaces (krun, in crun's annotation)")
	errMachineFDs    = errors.New("a descriptor cannot be handed into a virtual machine: leave the option out")
	errMachineStuck  = errors.New("the monitor does not react: see what its process waits for in /proc/PID/stack")
	errMachineRules  = errors.New("the microVM handler does not hand Landlock rules to the guest: leave the annotation out")
	errMachineMounts = errors.New("the microVM handler needs a mount namespace: add one of type mount")
)
