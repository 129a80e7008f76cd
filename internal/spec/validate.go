package spec

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func refuse(pointer, reason string) error { return &Error{pointer, errors.New(reason)} }

func at(pointer string, i int) string { return pointer + "[" + strconv.Itoa(i) + "]" }

// Validate refuses what no host could run: the first problem, as an *Error.
func (s *Spec) Validate() error {
	if err := validateVersion(s.Version); err != nil {
		return err
	}
	if s.Process == nil {
		return refuse("process", "missing: say what to run")
	}
	if s.Root == nil || s.Root.Path == "" {
		return refuse("root.path", "missing: name the folder that holds the container's root file system")
	}
	for _, check := range [...]func(*Spec) error{
		func(s *Spec) error { return s.Process.Validate() },
		validateNamespaces, validateNames, validateMappings, validateTimeOffsets,
		validateMounts, validatePaths, validateSysctl, validateDevices, validateHooks,
	} {
		if err := check(s); err != nil {
			return err
		}
	}
	return nil
}

func validateVersion(v string) error {
	if v == "" {
		return refuse("ociVersion", "missing: a runtime configuration names the version of the specification that it follows, like \""+Version+"\"")
	}
	core, _, _ := strings.Cut(v, "-")
	parts := strings.Split(core, ".")
	for _, p := range parts {
		if _, err := strconv.ParseUint(p, 10, 32); err != nil || len(parts) != 3 {
			return refuse("ociVersion", strconv.Quote(v)+" is not a version like \""+Version+"\"")
		}
	}
	if parts[0] != "1" {
		return refuse("ociVersion", v+" is not supported: ostia implements version 1 of the specification (up to "+Version+")")
	}
	return nil
}

// Validate refuses a process that cannot be run anywhere.
func (p *Process) Validate() error {
	if len(p.Args) == 0 {
		return refuse("process.args", "must not be empty: say what to run")
	}
	for i, a := range p.Args {
		if strings.IndexByte(a, 0) >= 0 {
			return refuse(at("process.args", i), "holds a NUL byte, which no argument can")
		}
	}
	for i, e := range p.Env {
		if strings.IndexByte(e, 0) >= 0 {
			return refuse(at("process.env", i), "holds a NUL byte, which no variable can")
		}
	}
	if p.Cwd == "" || p.Cwd[0] != '/' {
		return refuse("process.cwd", strconv.Quote(p.Cwd)+" is not an absolute path: begin it with a slash")
	}
	if strings.IndexByte(p.Cwd, 0) >= 0 {
		return refuse("process.cwd", "holds a NUL byte, which no path can")
	}
	if u := p.User.Umask; u != nil && *u > 0o777 {
		return refuse("process.user.umask", "is above 0777 (511)")
	}
	if o := p.OOMScoreAdj; o != nil && (*o < -1000 || *o > 1000) {
		return refuse("process.oomScoreAdj", strconv.Itoa(*o)+" is not between -1000 and 1000")
	}
	if err := validateRlimits(p.Rlimits); err != nil {
		return err
	}
	if err := p.validateScheduling(); err != nil {
		return err
	}
	if a := p.ExecCPUAffinity; a != nil {
		for _, f := range [...]struct{ name, list string }{{"initial", a.Initial}, {"final", a.Final}} {
			if _, err := ParseCPUList(f.list); err != nil {
				return &Error{"process.execCPUAffinity." + f.name, err}
			}
		}
	}
	return nil
}

func validateRlimits(list []Rlimit) error {
	for i, r := range list {
		if r.Type < 0 {
			return refuse(at("process.rlimits", i)+".type", "missing: use a name of getrlimit(2), like RLIMIT_NOFILE")
		}
		if r.Soft > r.Hard {
			return refuse(at("process.rlimits", i), "the soft limit of "+RlimitName(r.Type)+" is above the hard limit")
		}
		for _, other := range list[:i] {
			if other.Type == r.Type {
				return refuse(at("process.rlimits", i), RlimitName(r.Type)+" is there twice")
			}
		}
	}
	return nil
}

func (p *Process) validateScheduling() error {
	if s := p.Scheduler; s != nil {
		if s.Nice < -20 || s.Nice > 19 {
			return refuse("process.scheduler.nice", strconv.Itoa(int(s.Nice))+" is not between -20 and 19")
		}
		real := s.Policy == unix.SCHED_FIFO || s.Policy == unix.SCHED_RR
		if s.Priority != 0 && !real {
			return refuse("process.scheduler.priority", "is for SCHED_FIFO and SCHED_RR only")
		}
		if s.Policy != unix.SCHED_DEADLINE && (s.Runtime != 0 || s.Deadline != 0 || s.Period != 0) {
			return refuse("process.scheduler", "runtime, deadline and period are for SCHED_DEADLINE only")
		}
	}
	if o := p.IOPriority; o != nil {
		if o.Class == 0 {
			return refuse("process.ioPriority.class", "missing: use IOPRIO_CLASS_RT, IOPRIO_CLASS_BE or IOPRIO_CLASS_IDLE")
		}
		if o.Priority < 0 || o.Priority > 7 {
			return refuse("process.ioPriority.priority", strconv.Itoa(o.Priority)+" is not between 0 and 7")
		}
	}
	return nil
}

// has reports whether the container has a namespace of its own of this kind,
// and whether it is a new one.
func (s *Spec) has(flag uint64) (has, fresh bool) {
	for i := range s.Linux.Namespaces {
		if n := &s.Linux.Namespaces[i]; n.Flag == flag {
			return true, n.Path == ""
		}
	}
	return false, false
}

func validateNamespaces(s *Spec) error {
	for i, n := range s.Linux.Namespaces {
		pointer := at("linux.namespaces", i)
		if n.Flag == 0 {
			return refuse(pointer+".type", "missing: use pid, network, mount, ipc, uts, user, cgroup or time")
		}
		if n.Path != "" && (n.Path[0] != '/' || strings.IndexByte(n.Path, 0) >= 0) {
			return refuse(pointer+".path", strconv.Quote(n.Path)+" is not an absolute path")
		}
		for _, other := range s.Linux.Namespaces[:i] {
			if other.Flag == n.Flag {
				return refuse(pointer, "the "+n.Type+" namespace is there twice")
			}
		}
	}
	return nil
}

func validateNames(s *Spec) error {
	uts, _ := s.has(unix.CLONE_NEWUTS)
	for _, f := range [...]struct{ pointer, name string }{{"hostname", s.Hostname}, {"domainname", s.Domainname}} {
		switch {
		case f.name == "":
		case !uts:
			return refuse(f.pointer, "needs a uts namespace of the container's own: it would rename the host (add {\"type\": \"uts\"} to linux.namespaces)")
		case len(f.name) > 64 || strings.IndexByte(f.name, 0) >= 0:
			return refuse(f.pointer, "is longer than 64 bytes, or holds a NUL byte")
		}
	}
	return nil
}

func validateMappings(s *Spec) error {
	l := &s.Linux
	user, fresh := s.has(unix.CLONE_NEWUSER)
	mapped := len(l.UIDMappings)+len(l.GIDMappings) > 0
	switch {
	case mapped && !user:
		return refuse("linux.uidMappings", "needs a user namespace: add {\"type\": \"user\"} to linux.namespaces")
	case fresh && len(l.UIDMappings) == 0:
		return refuse("linux.uidMappings", "missing: a new user namespace without a mapping has no root")
	case fresh && len(l.GIDMappings) == 0:
		return refuse("linux.gidMappings", "missing: a new user namespace without a mapping has no root")
	}
	if err := validateIDMap("linux.uidMappings", l.UIDMappings); err != nil {
		return err
	}
	return validateIDMap("linux.gidMappings", l.GIDMappings)
}

func validateIDMap(pointer string, list []IDMapping) error {
	if len(list) > 340 {
		return refuse(pointer, "more than 340 lines, which is the kernel's limit")
	}
	overlap := func(a, b, sizeA, sizeB uint32) bool {
		return uint64(a) < uint64(b)+uint64(sizeB) && uint64(b) < uint64(a)+uint64(sizeA)
	}
	for i, m := range list {
		if m.Size == 0 {
			return refuse(at(pointer, i)+".size", "must be above 0")
		}
		for _, o := range list[:i] {
			if overlap(m.ContainerID, o.ContainerID, m.Size, o.Size) || overlap(m.HostID, o.HostID, m.Size, o.Size) {
				return refuse(at(pointer, i), "overlaps another mapping")
			}
		}
	}
	return nil
}

func validateTimeOffsets(s *Spec) error {
	if _, fresh := s.has(unix.CLONE_NEWTIME); len(s.Linux.TimeOffsets) > 0 && !fresh {
		return refuse("linux.timeOffsets", "needs a new time namespace: add {\"type\": \"time\"} to linux.namespaces")
	}
	for _, o := range s.Linux.TimeOffsets {
		if o.Clock != "monotonic" && o.Clock != "boottime" {
			return refuse("linux.timeOffsets."+o.Clock, "unknown clock: use monotonic or boottime")
		}
		if o.Nanosecs > 999_999_999 {
			return refuse("linux.timeOffsets."+o.Clock+".nanosecs", "is above 999999999")
		}
	}
	return nil
}

func validateMounts(s *Spec) error {
	for i, m := range s.Mounts {
		pointer := at("mounts", i)
		if m.Destination == "" || strings.IndexByte(m.Destination, 0) >= 0 || strings.IndexByte(m.Source, 0) >= 0 {
			return refuse(pointer+".destination", "is empty, or a path holds a NUL byte")
		}
		if (len(m.UIDMappings) > 0) != (len(m.GIDMappings) > 0) {
			return refuse(pointer, "uidMappings and gidMappings come together")
		}
		if err := validateIDMap(pointer+".uidMappings", m.UIDMappings); err != nil {
			return err
		}
		if err := validateIDMap(pointer+".gidMappings", m.GIDMappings); err != nil {
			return err
		}
		for j, o := range m.Options {
			if strings.IndexByte(o, 0) >= 0 {
				return refuse(at(pointer+".options", j), "holds a NUL byte")
			}
		}
	}
	return nil
}

func validatePaths(s *Spec) error {
	for _, f := range [...]struct {
		pointer string
		paths   []string
	}{{"linux.maskedPaths", s.Linux.MaskedPaths}, {"linux.readonlyPaths", s.Linux.ReadonlyPaths}} {
		for i, p := range f.paths {
			if p == "" || p[0] != '/' || strings.IndexByte(p, 0) >= 0 {
				return refuse(at(f.pointer, i), strconv.Quote(p)+" is not an absolute path")
			}
		}
	}
	return nil
}

// validateSysctl allows what belongs to a namespace of the container's own,
// and nothing that is the host's.
func validateSysctl(s *Spec) error {
	ipc, _ := s.has(unix.CLONE_NEWIPC)
	net, _ := s.has(unix.CLONE_NEWNET)
	uts, _ := s.has(unix.CLONE_NEWUTS)
	user, _ := s.has(unix.CLONE_NEWUSER)
	for _, kv := range s.Linux.Sysctl {
		pointer := "linux.sysctl." + kv.Key
		key := kv.Key
		if i := strings.IndexAny(key, "./"); i >= 0 && key[i] == '/' {
			key = strings.ReplaceAll(key, "/", ".")
		}
		need := ""
		switch {
		case strings.Contains(kv.Key, "..") || strings.HasPrefix(kv.Key, "/") || strings.IndexByte(kv.Key, 0) >= 0:
			return refuse(pointer, "is not the name of a sysctl")
		case isIPCSysctl(key):
			if !ipc {
				need = "ipc"
			}
		case strings.HasPrefix(key, "net."):
			if !net {
				need = "network"
			}
		case key == "kernel.domainname":
			if !uts {
				need = "uts"
			}
		case key == "kernel.hostname":
			return refuse(pointer, "use the field hostname")
		case strings.HasPrefix(key, "user."):
			if !user {
				need = "user"
			}
		default:
			return refuse(pointer, "is not separate for each container: set it on the host")
		}
		if need != "" {
			return refuse(pointer, "would change the host: it needs a "+need+" namespace of the container's own")
		}
	}
	return nil
}

func isIPCSysctl(key string) bool {
	switch key {
	case "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced":
		return true
	}
	return strings.HasPrefix(key, "fs.mqueue.")
}

func validateDevices(s *Spec) error {
	for i, d := range s.Linux.Devices {
		pointer := at("linux.devices", i)
		switch {
		case d.Path == "" || d.Path[0] != '/' || strings.IndexByte(d.Path, 0) >= 0:
			return refuse(pointer+".path", strconv.Quote(d.Path)+" is not an absolute path")
		case d.Type == 0:
			return refuse(pointer+".type", "missing: use c, b, u or p")
		case d.Type != 'p' && (d.Major < 0 || d.Minor < 0 || d.Major > 0xfff || d.Minor > 0xfffff):
			return refuse(pointer, "major or minor is out of range (4095, 1048575)")
		}
	}
	if r := s.Linux.Resources; r != nil {
		for i, d := range r.Devices {
			if d.Access == 0 && !(d.Type == 'a' && d.Major < 0 && d.Minor < 0) {
				return refuse(at("linux.resources.devices", i)+".access", "missing: use r, w and m")
			}
		}
	}
	return nil
}

func validateHooks(s *Spec) error {
	h := &s.Hooks
	for _, f := range [...]struct {
		name string
		list []Hook
	}{{"prestart", h.Prestart}, {"createRuntime", h.CreateRuntime}, {"createContainer", h.CreateContainer},
		{"startContainer", h.StartContainer}, {"poststart", h.Poststart}, {"poststop", h.Poststop}} {
		for i, hook := range f.list {
			pointer := at("hooks."+f.name, i)
			if hook.Path == "" || hook.Path[0] != '/' {
				return refuse(pointer+".path", strconv.Quote(hook.Path)+" is not an absolute path")
			}
			if hook.Timeout != nil && *hook.Timeout <= 0 {
				return refuse(pointer+".timeout", "must be above 0 seconds")
			}
			for _, text := range append(append([]string{hook.Path}, hook.Args...), hook.Env...) {
				if strings.IndexByte(text, 0) >= 0 {
					return refuse(pointer, "holds a NUL byte")
				}
			}
		}
	}
	return nil
}

// ParseCPUList reads a list like "0-3,7" (cpuset(7)) into a set of CPU
// numbers below 1024. An empty list is the empty set.
func ParseCPUList(list string) (set [16]uint64, err error) {
	if list == "" {
		return set, nil
	}
	for part := range strings.SplitSeq(list, ",") {
		from, to, ranged := strings.Cut(strings.TrimSpace(part), "-")
		a, err := strconv.ParseUint(from, 10, 16)
		b := a
		if err == nil && ranged {
			b, err = strconv.ParseUint(to, 10, 16)
		}
		if err != nil || b < a || b >= 1024 {
			return set, errors.New(strconv.Quote(list) + " is not a list of CPUs like \"0-3,7\"")
		}
		for n := a; n <= b; n++ {
			set[n/64] |= 1 << (n % 64)
		}
	}
	return set, nil
}
