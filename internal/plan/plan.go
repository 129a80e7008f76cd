// Package plan compiles a configuration into the program that the stage runs:
// which system calls make the container, in which order, and what each is for.
// It is pure: the same input gives the same program, and nothing is looked up
// on the host.
package plan

import (
	"ostia/internal/spec"
	"ostia/internal/stage"

	"golang.org/x/sys/unix"
)

// Input is what a plan is made of.
type Input struct {
	Spec    *spec.Spec
	Process *spec.Process // of the spec, or of an exec
	ID      string
	Rootfs  string // absolute path on the host
	Host    Host
	FDs     FDs
	Seccomp Seccomp
	Machine *Machine // nil: the entry point runs on this kernel
	HookEnv []string // of createContainer hooks that name none

	Cloned       uint64 // CLONE_NEW* that the stage is born with
	Tree         bool   // the mount namespace is made of the root's tree: TreeSuffices, Linux 7.0
	Wait         bool   // create: wait for start
	Exec         bool   // a process in a container that exists
	AskHome      bool   // the runtime adds HOME to the environment once the container's root is there
	Placed       bool   // wait until the runtime has put the process into its cgroup
	Ask          bool   // be judged before going on; without it the final execve is the verdict
	Trace        bool
	Foreground   bool // the runtime copies between the process's terminal and its own
	NoPivot      bool
	NoNewKeyring bool
}

// Host is what a plan needs to know of the host.
type Host struct {
	UserNS      bool // the container's processes live in a user namespace other than the first
	ExecveCheck bool // AT_EXECVE_CHECK works (Linux 6.14)
	Confined    bool // AppArmor confines the runtime
	Landlock    int  // the version of its interface
	Cgroups     []Hierarchy
	Bare        []string // without pivot_root: where procfs and sysfs are mounted, to be taken off
}

// Hierarchy is a cgroup v1 hierarchy or, alone and with V2, the unified one.
type Hierarchy struct {
	V2   bool
	Name string   // folder below /sys/fs/cgroup: "memory", "cpu,cpuacct"
	Dir  string   // the container's cgroup, an absolute path on the host
	Link []string // other names of the folder: "cpu", "cpuacct"
}

// Seccomp is a compiled filter.
type Seccomp struct {
	Program []byte // of struct sock_filter; empty for no filter
	Flags   uint32 // SECCOMP_FILTER_FLAG_*
	Notify  bool
	Reports bool // it lets a failed execve be reported: writev, read, exit_group
}

// FDs are the stage's descriptors by their numbers in the stage; -1 is none.
type FDs struct {
	First      int // the first that the entry point must not inherit
	Sync       int // socket to the runtime
	Start      int // exec fifo
	Console    int // socket that takes the terminal
	HookState  int // file with the state, for createContainer and startContainer hooks
	HookStdout int // file that takes the hooks' output
	HookStderr int
	Trace      int
	Cgroup     []int // files to join by: tasks of cgroup v1, cgroup.procs of v2
	Resctrl    []int // tasks files to join
	Join       []Join
	Network    int   // the new network namespace, made by the runtime with its loopback up
	Prepared   []int // detached mounts made by the runtime, by index of mounts; nil for none
	Devices    []int // detached mounts of device nodes that it made, by index of linux.devices; nil for none
	PidNS      int   // exec: pidfd of the container's first process
	Kept       int   // the highest that outlives the making of the container
}

// NoFDs are no descriptors but the first n, which the entry point inherits.
func NoFDs(n int) FDs {
	return FDs{First: n, Sync: -1, Start: -1, Console: -1, HookState: -1, HookStdout: -1, HookStderr: -1, Trace: -1, Network: -1, PidNS: -1}
}

// Join is a namespace to join.
type Join struct {
	FD    int
	Flag  uint64
	Index int // of linux.namespaces
}

// Plan is a compiled program.
type Plan struct {
	*stage.Program
	Candidates []string // the paths at which the entry point is looked for, in order
	Targets    []Target // what the stage may want made
	Forks      bool     // the process that is started forks the one that goes on, and reports Forked
}

// compiler holds what the concerns share while a plan is made.
type compiler struct {
	*stage.Program
	in         *Input
	spec       *spec.Spec
	empty      stage.Arg // ""
	report     report
	root       stage.Cell   // the container's root, O_PATH
	hostShared bool         // mounts of the host's tree may be shared with it
	null       stage.Cell   // the host's /dev/null, verified: O_PATH, or a detached mount of it; 0: not opened yet
	sources    []stage.Cell // detached mounts of the host's, by index of mounts, where the host is out of sight; else nil
	fsfd       stage.Cell   // the filesystem context in use, for its messages
	attached   []attachment
	readonly   []readonlyMount
	ruleset    stage.Cell // of Landlock
	program    stage.Cell // address of the entry point's path
	argv       stage.Arg
	env        stage.Arg
	fprog      stage.Arg   // the seccomp filter, made once
	blocked    stage.Arg   // set of signals that are blocked until start
	before     stage.Arg   // set of those that were blocked before
	home       stage.Arg   // HOME=..., to be filled in
	names      []string    // candidates
	paths      []stage.Arg // the same
	hows       []openHow
	targets    []Target
	forks      bool
	statBuffer stage.Arg
}

// Compile makes the plan of create and run.
func Compile(in *Input) (*Plan, error) {
	c := newCompiler(in)
	c.begin()
	c.joinCgroup()
	c.attributes()
	if err := c.namespaces(); err != nil {
		return nil, err
	}
	c.keyLabel()
	c.session()
	c.netDevices()
	if err := c.rootfs(); err != nil {
		return nil, err
	}
	c.hostname()
	c.loopback()
	c.startProcess()
	return c.finish()
}

func newCompiler(in *Input) *compiler {
	c := &compiler{Program: stage.New(), in: in, spec: in.Spec}
	if in.Trace {
		c.Trace()
	}
	c.empty = c.Str("")
	c.candidates()
	c.makeReport()
	return c
}

// ProcessName is the stage's name (comm) until it executes the entry point.
const ProcessName = "ostia:stage"

// netDevices lets the runtime move network devices in.
func (c *compiler) netDevices() {
	if len(c.spec.Linux.NetDevices) > 0 {
		c.About("linux.netDevices", -1, "")
		c.milestone(WantDevices)
		c.await()
	}
}

// begin is what comes first whatever follows.
func (c *compiler) begin() {
	c.About("", -1, "")
	// Not by SysProcAttr.Pdeathsig: it compares getppid(2), which is 0 in
	// another pid namespace.
	c.dieWithRuntime()
	// No descriptor of the runtime's survives the execve of the entry point or
	// of a hook (CVE-2024-21626).
	c.Do("close descriptors on exec", unix.SYS_CLOSE_RANGE, stage.Imm(c.in.FDs.First), stage.Imm(-1), stage.Imm(unix.CLOSE_RANGE_CLOEXEC))
	// The kernel named the process after the memfd's number.
	c.Do("name", unix.SYS_PRCTL, stage.Imm(unix.PR_SET_NAME), c.Str(ProcessName))
	c.Do("umask", unix.SYS_UMASK, stage.Imm(0))
}

// joinCgroup enters the cgroup v1 hierarchies: "0" is the writing thread. The
// tasks file, because a write to cgroup.procs takes 8 ms (an RCU grace
// period). On v2 the stage is born in its cgroup where there is clone3(2),
// unless systemd makes that around the process.
func (c *compiler) joinCgroup() {
	c.About("linux.cgroupsPath", -1, "")
	if c.in.Placed {
		c.milestone(WantCgroup)
		c.await()
	}
	for _, fd := range c.in.FDs.Cgroup {
		c.Do("join cgroup", unix.SYS_WRITE, stage.Imm(fd), c.Str("0"), stage.Imm(1))
	}
	for _, fd := range c.in.FDs.Resctrl {
		c.About("linux.intelRdt", -1, "")
		c.Do("join group", unix.SYS_WRITE, stage.Imm(fd), c.Str("0"), stage.Imm(1))
	}
}

func (c *compiler) hasMountNS() bool { return c.has(unix.CLONE_NEWNS) }

// has reports whether the container has a namespace of its own of this kind,
// new or by path.
func (c *compiler) has(flag uint64) bool {
	for i := range c.spec.Linux.Namespaces {
		if c.spec.Linux.Namespaces[i].Flag == flag {
			return true
		}
	}
	return false
}

// isNew reports whether the namespace is made for this container.
func (c *compiler) isNew(flag uint64) bool {
	for i := range c.spec.Linux.Namespaces {
		if n := &c.spec.Linux.Namespaces[i]; n.Flag == flag {
			return n.Path == ""
		}
	}
	return false
}

// finish adds the failure handler and closes the plan.
func (c *compiler) finish() (*Plan, error) {
	c.failure()
	return &Plan{Program: c.Program, Candidates: c.names, Targets: c.targets, Forks: c.forks}, nil
}
