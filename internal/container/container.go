// Package container owns the life cycle of a container: create, run, start,
// exec, kill, delete, pause, resume and state. It prints nothing and parses no
// flags.
package container

// Runtime is what every operation shares: where state lives and how cgroups
// are driven.
type Runtime struct {
	Root          string       // folder of the containers' state
	CgroupManager string       // "cgroupfs", "systemd" or "disabled"
	Rootless      string       // "true", "false" or "auto"
	Criu          Criu         // checkpoint and restore
	Handler       string       // HandlerNamespaces, HandlerMachine, or "" for what the annotations say
	Warn          func(error)  // is told what goes wrong without being a failure; may be nil
	Debug         func(string) // is told of the steps of a create, run and exec; nil for nobody
}

// CreateOptions are the options of create and run.
type CreateOptions struct {
	ID            string
	Bundle        string // folder; "" is the working directory
	Config        string // config file; "" is config.json in the bundle
	ConsoleSocket string
	PidFile       string
	PidfdSocket   string
	ListenFDs     int    // sockets from 3 on that systemd has activated (sd_listen_fds(3))
	ListenNames   string // their names, separated by colons; may be empty
	PreserveFDs   int    // descriptors behind those
	NotifySocket  string // of the service manager (sd_notify(3)); "" is none
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
	NoNewPrivs     *bool // nil: as the container's process
	Apparmor       string
	ProcessLabel   string
	Detach         bool
	PidFile        string
	ConsoleSocket  string
	PidfdSocket    string
	ListenFDs      int
	PreserveFDs    int
	IgnorePaused   bool
	Cgroups        []string // sub-cgroup, or several controllers:path
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
	Scope       string // systemd's unit that has the cgroup, as crun tells it
	Fault       string // why a machine ended without the status of its entry point
}
