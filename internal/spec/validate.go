package spec

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// problems collects what is wrong with a configuration.
type problems []*Error

func (p *problems) refuse(pointer, reason string) {
	*p = append(*p, &Error{pointer, errors.New(reason)})
}

// first is the first problem as an error, nil for none.
func (p problems) first() error {
	if len(p) == 0 {
		return nil
	}
	return p[0]
}

func at(pointer string, i int) string { return pointer + "[" + strconv.Itoa(i) + "]" }

// Validate refuses what no host could run: the first problem, as an *Error.
func (s *Spec) Validate() error { return s.problems().first() }

// problems are all of them.
func (s *Spec) problems() (p problems) {
	p.version(s.Version)
	if s.Process == nil {
		p.refuse("process", "missing: say what to run")
	} else {
		p.process(s.Process)
	}
	if s.Root == nil || s.Root.Path == "" {
		p.refuse("root.path", "missing: name the folder that holds the container's root file system")
	}
	p.namespaces(s)
	p.names(s)
	p.mappings(s)
	p.timeOffsets(s)
	p.mounts(s)
	p.netDevices(s)
	p.intelRdt(s)
	p.paths(s)
	p.sysctl(s)
	p.devices(s)
	p.hooks(s)
	return p
}

func (p *problems) version(v string) {
	if v == "" {
		p.refuse("ociVersion", "missing: a runtime configuration names the version of the specification that it follows, like \""+Version+"\"")
		return
	}
	core, _, _ := strings.Cut(v, "-")
	parts := strings.Split(core, ".")
	for _, part := range parts {
		if _, err := strconv.ParseUint(part, 10, 32); err != nil || len(parts) != 3 {
			p.refuse("ociVersion", strconv.Quote(v)+" is not a version like \""+Version+"\"")
			return
		}
	}
	if parts[0] != "1" {
		p.refuse("ociVersion", v+" is not supported: ostia implements version 1 of the specification (up to "+Version+")")
	}
}

// Validate refuses a process that cannot be run anywhere.
func (c *Process) Validate() error {
	var p problems
	p.process(c)
	return p.first()
}

func (p *problems) process(c *Process) {
	if len(c.Args) == 0 {
		p.refuse("process.args", "must not be empty: say what to run")
	}
	for i, a := range c.Args {
		if strings.IndexByte(a, 0) >= 0 {
			p.refuse(at("process.args", i), "holds a NUL byte, which no argument can")
		}
	}
	for i, e := range c.Env {
		if strings.IndexByte(e, 0) >= 0 {
			p.refuse(at("process.env", i), "holds a NUL byte, which no variable can")
		}
	}
	// setresuid(2) takes the last number for "as it is", which is root.
	for _, f := range [...]struct {
		pointer string
		id      uint32
	}{{"process.user.uid", c.User.UID}, {"process.user.gid", c.User.GID}} {
		if f.id == 1<<32-1 {
			p.refuse(f.pointer, "4294967295 is no id: use one below it")
		}
	}
	if c.Cwd == "" || c.Cwd[0] != '/' {
		p.refuse("process.cwd", strconv.Quote(c.Cwd)+" is not an absolute path: begin it with a slash")
	}
	if strings.IndexByte(c.Cwd, 0) >= 0 {
		p.refuse("process.cwd", "holds a NUL byte, which no path can")
	}
	if u := c.User.Umask; u != nil && *u > 0o777 {
		p.refuse("process.user.umask", "is above 0777 (511)")
	}
	if o := c.OOMScoreAdj; o != nil && (*o < -1000 || *o > 1000) {
		p.refuse("process.oomScoreAdj", strconv.Itoa(*o)+" is not between -1000 and 1000")
	}
	p.rlimits(c.Rlimits)
	p.scheduling(c)
	if a := c.ExecCPUAffinity; a != nil {
		for _, f := range [...]struct{ name, list string }{{"initial", a.Initial}, {"final", a.Final}} {
			if _, err := ParseCPUList(f.list); err != nil {
				p.refuse("process.execCPUAffinity."+f.name, err.Error())
			}
		}
	}
}

func (p *problems) rlimits(list []Rlimit) {
	for i, r := range list {
		if r.Type < 0 {
			p.refuse(at("process.rlimits", i)+".type", "missing: use a name of getrlimit(2), like RLIMIT_NOFILE")
			continue
		}
		if r.Soft > r.Hard {
			p.refuse(at("process.rlimits", i), "the soft limit of "+RlimitName(r.Type)+" is above the hard limit")
		}
		for _, other := range list[:i] {
			if other.Type == r.Type {
				p.refuse(at("process.rlimits", i), RlimitName(r.Type)+" is there twice")
			}
		}
	}
}

func (p *problems) scheduling(c *Process) {
	if s := c.Scheduler; s != nil {
		if s.Nice < -20 || s.Nice > 19 {
			p.refuse("process.scheduler.nice", strconv.Itoa(int(s.Nice))+" is not between -20 and 19")
		}
		real := s.Policy == unix.SCHED_FIFO || s.Policy == unix.SCHED_RR
		if s.Priority != 0 && !real {
			p.refuse("process.scheduler.priority", "is for SCHED_FIFO and SCHED_RR only")
		}
		if s.Policy != unix.SCHED_DEADLINE && (s.Runtime != 0 || s.Deadline != 0 || s.Period != 0) {
			p.refuse("process.scheduler", "runtime, deadline and period are for SCHED_DEADLINE only")
		}
		if s.Policy == unix.SCHED_DEADLINE {
			p.deadline(s)
		}
	}
	if o := c.IOPriority; o != nil {
		if o.Class == 0 {
			p.refuse("process.ioPriority.class", "missing: use IOPRIO_CLASS_RT, IOPRIO_CLASS_BE or IOPRIO_CLASS_IDLE")
		}
		if o.Priority < 0 || o.Priority > 7 {
			p.refuse("process.ioPriority.priority", strconv.Itoa(o.Priority)+" is not between 0 and 7")
		}
	}
}

// deadline refuses what no kernel takes (sched(7)).
func (p *problems) deadline(s *Scheduler) {
	const least = 1024 // ns, the kernel's resolution
	number := func(n uint64) string { return strconv.FormatUint(n, 10) }
	switch refuse := func(member, reason string) {
		p.refuse("process.scheduler."+member, "sched_setattr: `SCHED_DEADLINE` "+reason) // crun's words
	}; {
	case s.Runtime == 0 && s.RuntimeGiven:
		refuse("runtime", "runtime must be greater than 0")
	case s.Runtime == 0:
		refuse("runtime", "requires `runtime`")
	case s.Deadline == 0:
		refuse("deadline", "requires `deadline`")
	case s.Runtime < least || s.Runtime >= 1<<63:
		refuse("runtime", "runtime "+number(s.Runtime)+" must be between 1024 and 2^63-1 ns")
	case s.Deadline < s.Runtime:
		refuse("runtime", "runtime "+number(s.Runtime)+" must be <= the deadline "+number(s.Deadline))
	case s.Period != 0 && s.Period < s.Deadline:
		refuse("period", "deadline "+number(s.Deadline)+" must be <= the period "+number(s.Period)+"; leave the period out for one that is the same")
	case max(s.Deadline, s.Period) >= 1<<63:
		p.refuse("process.scheduler", "a time of 2^63 ns or more is none that the kernel takes")
	}
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

func (p *problems) namespaces(s *Spec) {
	for i, n := range s.Linux.Namespaces {
		pointer := at("linux.namespaces", i)
		if n.Flag == 0 {
			p.refuse(pointer+".type", "missing: use pid, network, mount, ipc, uts, user, cgroup or time")
			continue
		}
		if n.Path != "" && (n.Path[0] != '/' || strings.IndexByte(n.Path, 0) >= 0) {
			p.refuse(pointer+".path", strconv.Quote(n.Path)+" is not an absolute path")
		}
		for _, other := range s.Linux.Namespaces[:i] {
			if other.Flag == n.Flag {
				p.refuse(pointer, "the "+n.Type+" namespace is there twice")
			}
		}
	}
}

func (p *problems) names(s *Spec) {
	uts, _ := s.has(unix.CLONE_NEWUTS)
	for _, f := range [...]struct{ pointer, name string }{{"hostname", s.Hostname}, {"domainname", s.Domainname}} {
		switch {
		case f.name == "":
		case !uts:
			p.refuse(f.pointer, "needs a uts namespace of the container's own: it would rename the host (add {\"type\": \"uts\"} to linux.namespaces)")
		case len(f.name) > 64 || strings.IndexByte(f.name, 0) >= 0:
			p.refuse(f.pointer, "is longer than 64 bytes, or holds a NUL byte")
		}
	}
}

func (p *problems) mappings(s *Spec) {
	l := &s.Linux
	user, fresh := s.has(unix.CLONE_NEWUSER)
	mapped := len(l.UIDMappings)+len(l.GIDMappings) > 0
	switch {
	case mapped && !user:
		p.refuse("linux.uidMappings", "needs a user namespace: add {\"type\": \"user\"} to linux.namespaces")
	case fresh && mapped && len(l.UIDMappings) == 0:
		p.refuse("linux.uidMappings", "missing, where there are linux.gidMappings: give both, or neither to have the user's own ids mapped")
	case fresh && mapped && len(l.GIDMappings) == 0:
		p.refuse("linux.gidMappings", "missing, where there are linux.uidMappings: give both, or neither to have the user's own ids mapped")
	}
	p.idMap("linux.uidMappings", l.UIDMappings)
	p.idMap("linux.gidMappings", l.GIDMappings)
}

func (p *problems) idMap(pointer string, list []IDMapping) {
	if len(list) > 340 {
		p.refuse(pointer, "more than 340 lines, which is the kernel's limit")
	}
	overlap := func(a, b, sizeA, sizeB uint32) bool {
		return uint64(a) < uint64(b)+uint64(sizeB) && uint64(b) < uint64(a)+uint64(sizeA)
	}
	for i, m := range list {
		if m.Size == 0 {
			p.refuse(at(pointer, i)+".size", "must be above 0")
		}
		for _, o := range list[:i] {
			if overlap(m.ContainerID, o.ContainerID, m.Size, o.Size) || overlap(m.HostID, o.HostID, m.Size, o.Size) {
				p.refuse(at(pointer, i), "overlaps another mapping")
			}
		}
	}
}

func (p *problems) timeOffsets(s *Spec) {
	if _, fresh := s.has(unix.CLONE_NEWTIME); len(s.Linux.TimeOffsets) > 0 && !fresh {
		p.refuse("linux.timeOffsets", "needs a new time namespace: add {\"type\": \"time\"} to linux.namespaces")
	}
	for _, o := range s.Linux.TimeOffsets {
		if o.Clock != "monotonic" && o.Clock != "boottime" {
			p.refuse("linux.timeOffsets."+o.Clock, "unknown clock: use monotonic or boottime")
		}
		if o.Nanosecs > 999_999_999 {
			p.refuse("linux.timeOffsets."+o.Clock+".nanosecs", "is above 999999999")
		}
	}
}

func (p *problems) mounts(s *Spec) {
	for i, m := range s.Mounts {
		pointer := at("mounts", i)
		if m.Destination == "" || strings.IndexByte(m.Destination, 0) >= 0 || strings.IndexByte(m.Source, 0) >= 0 {
			p.refuse(pointer+".destination", "is empty, or a path holds a NUL byte")
		}
		uids, gids, err := m.IDMappings(&s.Linux)
		switch {
		case err != nil:
			p.refuse(pointer+".options", err.Error())
		case (len(uids) > 0) != (len(gids) > 0):
			p.refuse(pointer, "uidMappings and gidMappings come together")
		}
		p.idMap(pointer+".uidMappings", uids)
		p.idMap(pointer+".gidMappings", gids)
		for j, o := range m.Options {
			if strings.IndexByte(o, 0) >= 0 {
				p.refuse(at(pointer+".options", j), "holds a NUL byte")
			}
		}
	}
}

func (p *problems) paths(s *Spec) {
	for _, f := range [...]struct {
		pointer string
		paths   []string
	}{{"linux.maskedPaths", s.Linux.MaskedPaths}, {"linux.readonlyPaths", s.Linux.ReadonlyPaths}} {
		for i, path := range f.paths {
			if path == "" || path[0] != '/' || strings.IndexByte(path, 0) >= 0 {
				p.refuse(at(f.pointer, i), strconv.Quote(path)+" is not an absolute path")
			}
		}
	}
}

// noNumber is a device number that is not given.
const noNumber = math.MinInt64

func (p *problems) devices(s *Spec) {
	bound, _ := s.has(unix.CLONE_NEWUSER)
	for i, d := range s.Linux.Devices {
		pointer := at("linux.devices", i)
		switch {
		case d.Path == "" || d.Path[0] != '/' || strings.IndexByte(d.Path, 0) >= 0:
			p.refuse(pointer+".path", strconv.Quote(d.Path)+" is not an absolute path")
		case d.Type == 0:
			p.refuse(pointer+".type", "missing: use c, b, u or p")
		case d.Type == 'p' || bound && (d.Major == noNumber || d.Minor == noNumber):
		case d.Major == noNumber:
			p.refuse(pointer+".major", "missing: name the device that "+d.Path+" is")
		case d.Minor == noNumber:
			p.refuse(pointer+".minor", "missing: name the device that "+d.Path+" is")
		case d.Major < 0 || d.Minor < 0 || d.Major > 0xfff || d.Minor > 0xfffff:
			p.refuse(pointer, "major or minor is out of range (4095, 1048575)")
		}
	}
	if r := s.Linux.Resources; r != nil {
		for i, d := range r.Devices {
			if d.Access == 0 && !(d.Type == 'a' && d.Major < 0 && d.Minor < 0) {
				p.refuse(at("linux.resources.devices", i)+".access", "missing: use r, w and m")
			}
		}
	}
}

func (p *problems) hooks(s *Spec) {
	h := &s.Hooks
	for _, f := range [...]struct {
		name string
		list []Hook
	}{{"prestart", h.Prestart}, {"createRuntime", h.CreateRuntime}, {"createContainer", h.CreateContainer},
		{"startContainer", h.StartContainer}, {"poststart", h.Poststart}, {"poststop", h.Poststop}} {
		for i, hook := range f.list {
			pointer := at("hooks."+f.name, i)
			if hook.Path == "" || hook.Path[0] != '/' {
				p.refuse(pointer+".path", strconv.Quote(hook.Path)+" is not an absolute path")
			}
			if hook.Timeout != nil && *hook.Timeout <= 0 {
				p.refuse(pointer+".timeout", "must be above 0 seconds")
			}
			for _, text := range append(append([]string{hook.Path}, hook.Args...), hook.Env...) {
				if strings.IndexByte(text, 0) >= 0 {
					p.refuse(pointer, "holds a NUL byte")
					break
				}
			}
		}
	}
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
