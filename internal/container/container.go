// Package container owns the life cycle of a container: create, run, start,
// exec, kill, delete, pause, resume and state. It prints nothing and parses no
// flags.
package container

import "syscall"

// Runtime is what every operation shares: where state lives and how cgroups
// are driven.
type Runtime struct {
	Root          string // folder of the containers' state
	CgroupManager string // "cgroupfs", "systemd" or "disabled"
	Rootless      string // "true", "false" or "auto"
}

// CreateOptions are the options of create and run.
type CreateOptions struct {
	ID            string
	Bundle        string // folder; "" is the working directory
	Config        string // config file; "" is config.json in the bundle
	ConsoleSocket string
	PidFile       string
	PidfdSocket   string
	PreserveFDs   int
	NoPivot       bool
	NoNewKeyring  bool
	NoSubreaper   bool   // run
	Detach        bool   // run
	Keep          bool   // run
	Trace         string // file for a Chrome trace; "" is none
}

// ExecOptions are the options of exec. The fields from Args on change the
// container's own process when Process is empty.
type ExecOptions struct {
	Process        string // file with a process object
	Args           []string
	Cwd            string
	Env            []string
	User           string // UID[:GID]
	AdditionalGids []uint32
	Caps           []string
	TTY            bool
	NoNewPrivs     bool
	Apparmor       string
	ProcessLabel   string
	Detach         bool
	PidFile        string
	ConsoleSocket  string
	PidfdSocket    string
	PreserveFDs    int
	IgnorePaused   bool
	Cgroup         string // sub-cgroup, or controllers:path
	Trace          string
}

// Info is what state and list say of a container.
type Info struct {
	Version     string // ociVersion of the state
	ID          string
	Pid         int // 0 when stopped
	Status      string
	Bundle      string
	Rootfs      string
	Created     string // RFC 3339, UTC, nanoseconds
	Owner       string // name of the user that created it
	Annotations map[string]string
}

// Create makes a container that waits for Start.
func (r *Runtime) Create(o CreateOptions) error { return syscall.ENOSYS }

// Run creates and starts a container and returns its exit status (0 with
// Detach).
func (r *Runtime) Run(o CreateOptions) (status int, err error) { return 125, syscall.ENOSYS }

// Start lets a created container execute its entry point.
func (r *Runtime) Start(id string) error { return syscall.ENOSYS }

// Exec runs another process in the container and returns its exit status (0
// with Detach).
func (r *Runtime) Exec(id string, o ExecOptions) (status int, err error) { return 125, syscall.ENOSYS }

// Kill sends a signal to the container's first process, or with all to every
// process in its cgroup.
func (r *Runtime) Kill(id string, sig syscall.Signal, all bool) error { return syscall.ENOSYS }

// Delete removes a stopped container, or with force any container and what is
// left of one.
func (r *Runtime) Delete(id string, force bool) error { return syscall.ENOSYS }

// State returns one container's state.
func (r *Runtime) State(id string) (Info, error) { return Info{}, syscall.ENOSYS }

// List returns the state of every container, sorted by id.
func (r *Runtime) List() ([]Info, error) { return nil, syscall.ENOSYS }

// Processes returns the pids of the container's processes, as this process's
// pid namespace numbers them.
func (r *Runtime) Processes(id string) ([]int, error) { return nil, syscall.ENOSYS }

// Pause freezes every process of the container.
func (r *Runtime) Pause(id string) error { return syscall.ENOSYS }

// Resume thaws a paused container.
func (r *Runtime) Resume(id string) error { return syscall.ENOSYS }

// Plan returns the text of the plan that create would run for a bundle.
func (r *Runtime) Plan(o CreateOptions) (string, error) { return "", syscall.ENOSYS }
