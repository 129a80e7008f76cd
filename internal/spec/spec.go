// Package spec owns the OCI runtime configuration: the structs for the fields
// that ostia acts on (runtime-spec 1.3), their decoder and their validation.
// It never touches the system: the same bytes give the same answer on any host.
package spec

// Spec is a bundle's config.json. Fields that the specification defines and
// ostia does not act on are ignored, as the specification asks.
type Spec struct {
	Version     string // ociVersion
	Process     *Process
	Root        *Root
	Hostname    string
	Domainname  string
	Mounts      []Mount
	Hooks       Hooks
	Annotations map[string]string
	Extensions  Extensions // read from the annotations
	Linux       Linux
}

// Process is what create, run and exec execute (config.md#process, and the
// file of exec --process).
type Process struct {
	Terminal        bool
	ConsoleSize     *Box
	User            User
	Args            []string
	Env             []string
	Cwd             string
	Capabilities    *Capabilities
	Rlimits         []Rlimit
	NoNewPrivileges bool
	ApparmorProfile string
	SelinuxLabel    string
	OOMScoreAdj     *int
	Scheduler       *Scheduler
	IOPriority      *IOPriority
	ExecCPUAffinity *CPUAffinity
}

// Box is a terminal's size in characters.
type Box struct{ Height, Width uint16 }

// User is the identity of a process inside the container.
type User struct {
	UID, GID       uint32
	Umask          *uint32
	AdditionalGids []uint32
}

// Capabilities are the five sets of capabilities(7), a bit per capability
// number. Names that this build does not know are in Unknown, as written.
type Capabilities struct {
	Bounding, Effective, Inheritable, Permitted, Ambient uint64
	Unknown                                              []string
}

// Rlimit is one setrlimit(2) limit.
type Rlimit struct {
	Type       int // RLIMIT_*, unix.RLIMIT_NOFILE and so on
	Soft, Hard uint64
}

// Scheduler is process.scheduler, in the units of sched_setattr(2).
type Scheduler struct {
	Policy                    uint32 // SCHED_*
	Nice                      int32
	Priority                  int32
	Flags                     uint64 // SCHED_FLAG_*
	Runtime, Deadline, Period uint64 // ns
	RuntimeGiven              bool   // as 0 too
}

// IOPriority is process.ioPriority, as ioprio_set(2) takes it.
type IOPriority struct {
	Class    int // IOPRIO_CLASS_*: 1 RT, 2 BE, 3 IDLE
	Priority int // 0 to 7
}

// CPUAffinity is process.execCPUAffinity: CPU lists ("0-3,7") for before and
// after an exec joins the container's cgroup.
type CPUAffinity struct{ Initial, Final string }

// Root is the container's root file system.
type Root struct {
	Path     string
	Readonly bool
}

// Mount is one entry of mounts.
type Mount struct {
	Destination string
	Type        string
	Source      string
	Options     []string
	UIDMappings []IDMapping
	GIDMappings []IDMapping
}

// IDMapping is one line of a uid_map or gid_map (user_namespaces(7)).
type IDMapping struct{ ContainerID, HostID, Size uint32 }

// Hooks are the six kinds of hooks, in the order in which they run.
type Hooks struct {
	Prestart, CreateRuntime, CreateContainer, StartContainer, Poststart, Poststop []Hook
}

// Hook is a program to run at a point of the life cycle.
type Hook struct {
	Path    string
	Args    []string
	Env     []string
	Timeout *int // seconds, above zero
}

// Linux is the linux section.
type Linux struct {
	Namespaces        []Namespace
	UIDMappings       []IDMapping
	GIDMappings       []IDMapping
	TimeOffsets       []TimeOffset
	Devices           []Device
	NetDevices        []NetDevice // sorted by Host
	MemoryPolicy      *MemoryPolicy
	IntelRdt          *IntelRdt
	CgroupsPath       string
	Resources         *Resources
	RootfsPropagation string
	Seccomp           *Seccomp
	Sysctl            []KeyValue // in the order of the file
	MaskedPaths       []string
	ReadonlyPaths     []string
	MountLabel        string
	Personality       *Personality
}

// KeyValue is one member of a JSON object of strings whose order is kept.
type KeyValue struct{ Key, Value string }

// Namespace is one of linux.namespaces. Flag is its CLONE_NEW* bit; Path is
// empty for a new one.
type Namespace struct {
	Type string // as written: pid, network, mount, ipc, uts, user, cgroup, time
	Flag uint64
	Path string
}

// TimeOffset is an offset of a clock in a new time namespace
// (time_namespaces(7)).
type TimeOffset struct {
	Clock    string // "monotonic" or "boottime"
	Secs     int64
	Nanosecs uint32
}

// Device is a device node to make in the container. A number that is not given
// is negative: in a user namespace the node is the host's and needs none.
type Device struct {
	Path         string
	Type         byte // 'c', 'b', 'p' ('u' is read as 'c')
	Major, Minor int64
	FileMode     *uint32
	UID, GID     *uint32
}

// NetDevice is a network device of the host to move into the container; Name
// is its name there, "" for the same, and may end in %d.
type NetDevice struct{ Host, Name string }

// MemoryPolicy is linux.memoryPolicy, as set_mempolicy(2) takes it.
type MemoryPolicy struct {
	Mode  int        // MPOL_* and MPOL_F_*
	Nodes [16]uint64 // a bit a node
}

// Personality is linux.personality: the domain for personality(2).
type Personality struct {
	Domain uint32 // PER_LINUX or PER_LINUX32
}

// Resources are the cgroup limits. A nil or absent field changes nothing.
type Resources struct {
	Devices        []DeviceRule
	Memory         *Memory
	CPU            *CPU
	Pids           *Pids
	BlockIO        *BlockIO
	HugepageLimits []HugepageLimit
	Network        *Network
	Rdma           []Rdma // sorted by Device
	Unified        []KeyValue
}

// DeviceRule allows or denies access to devices. Major and Minor are -1 for
// all; Access is a set of AccessRead, AccessWrite and AccessMknod.
type DeviceRule struct {
	Allow        bool
	Type         byte // 'a', 'c' or 'b'
	Major, Minor int64
	Access       uint8
}

// The bits of DeviceRule.Access, as BPF_DEVCG_ACC_* numbers them.
const (
	AccessMknod uint8 = 1 << iota
	AccessRead
	AccessWrite
)

// Memory is linux.resources.memory, in bytes; -1 is no limit.
type Memory struct {
	Limit, Reservation, Swap, Kernel, KernelTCP *int64
	Swappiness                                  *uint64
	DisableOOMKiller                            *bool
	UseHierarchy                                *bool
	CheckBeforeUpdate                           *bool
}

// CPU is linux.resources.cpu; times in microseconds.
type CPU struct {
	Shares          *uint64
	Quota           *int64
	Burst           *uint64
	Period          *uint64
	RealtimeRuntime *int64
	RealtimePeriod  *uint64
	Cpus, Mems      string
	Idle            *int64
}

// Pids is linux.resources.pids; a limit below 1 is no limit, except that 0 is
// itself under runtime-spec 1.3 (nil is "not given").
type Pids struct{ Limit *int64 }

// BlockIO is linux.resources.blockIO.
type BlockIO struct {
	Weight, LeafWeight                                                     *uint16
	WeightDevices                                                          []WeightDevice
	ThrottleReadBps, ThrottleWriteBps, ThrottleReadIOPS, ThrottleWriteIOPS []ThrottleDevice
}

// WeightDevice is the weight of one block device.
type WeightDevice struct {
	Major, Minor       int64
	Weight, LeafWeight *uint16
}

// ThrottleDevice is a limit of one block device, in bytes or operations a
// second.
type ThrottleDevice struct {
	Major, Minor int64
	Rate         uint64
}

// HugepageLimit limits huge pages of one size ("2MB"), in bytes.
type HugepageLimit struct {
	PageSize string
	Limit    uint64
}

// Network is linux.resources.network (cgroup v1 net_cls and net_prio).
type Network struct {
	ClassID    *uint32
	Priorities []InterfacePriority
}

// InterfacePriority is a net_prio priority of one interface.
type InterfacePriority struct {
	Name     string
	Priority uint32
}

// Rdma limits one RDMA device; nil is "max".
type Rdma struct {
	Device                 string
	HcaHandles, HcaObjects *uint32
}

// Seccomp is linux.seccomp, as written; internal/seccomp gives it meaning.
type Seccomp struct {
	DefaultAction    string
	DefaultErrnoRet  *uint32
	Architectures    []string
	Flags            []string
	ListenerPath     string
	ListenerMetadata string
	Syscalls         []SeccompRule
	FailUnknown      bool // a name that no architecture has is refused
}

// SeccompRule is one entry of linux.seccomp.syscalls.
type SeccompRule struct {
	Names    []string
	Action   string
	ErrnoRet *uint32
	Args     []SeccompArg
}

// SeccompArg is a condition on one argument of a system call.
type SeccompArg struct {
	Index    uint32
	Value    uint64
	ValueTwo uint64
	Op       string
}

// Error is a refused configuration: where and why.
type Error struct {
	Pointer string // "linux.resources.memory.limit", "mounts[3]"
	Err     error
}

func (e *Error) Error() string { return e.Pointer + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }
