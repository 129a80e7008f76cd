package systemd

import (
	"math"
	"strconv"
	"strings"

	"ostia/internal/cgroup"
	"ostia/internal/dbus"
	"ostia/internal/spec"
)

// infinity is how systemd writes no limit.
const infinity = math.MaxUint64

// Limits are the properties that resources come to on cgroup v2, or else v1,
// for a manager of this version. What systemd has no property for is left out:
// it is written to the cgroup, as is all of this. The properties are there so
// that systemd writes the same when it writes (daemon-reload), and shows it.
//
// Device rules are not among them: on version 2 systemd leaves a unit without
// such properties alone, and the runtime's own program, which has rules that
// systemd cannot express, is the only one.
func Limits(r *spec.Resources, version int, v2 bool) ([]Property, error) {
	if r == nil {
		return nil, nil
	}
	l := limits{version: version}
	if !v2 {
		l.legacy(r)
		if err := l.cpuset(r); err != nil { // which is shown, and has no effect there
			return nil, err
		}
		return l.list, l.pids(r)
	}
	for _, add := range [...]func(*spec.Resources) error{l.memory, l.cpu, l.cpuset, l.pids, l.io, l.unified} {
		if err := add(r); err != nil {
			return nil, err
		}
	}
	return l.list, nil
}

type limits struct {
	list    []Property
	version int
}

func (l *limits) add(pointer, name string, v dbus.Value) {
	l.list = append(l.list, Property{Name: name, Value: v, Pointer: "linux.resources." + pointer})
}

// number adds a limit; what is below zero is none.
func (l *limits) number(pointer, name string, n int64) {
	v := uint64(infinity)
	if n >= 0 {
		v = uint64(n)
	}
	l.add(pointer, name, dbus.Uint64(v))
}

func (l *limits) memory(r *spec.Resources) error {
	m := r.Memory
	if m == nil {
		return nil
	}
	if limit := value(m.Limit); limit != 0 {
		l.number("memory.limit", "MemoryMax", limit)
	}
	if low := value(m.Reservation); low != 0 {
		l.number("memory.reservation", "MemoryLow", low)
	}
	swap, given, err := cgroup.SwapLimit(m)
	if given && err == nil {
		l.number("memory.swap", "MemorySwapMax", swap)
	}
	return err
}

func (l *limits) cpu(r *spec.Resources) error {
	c := r.CPU
	if c == nil {
		return nil
	}
	switch {
	case c.Idle != nil && *c.Idle == 1:
		if l.version >= 252 {
			l.add("cpu.idle", "CPUWeight", dbus.Uint64(0))
		}
	case c.Shares == nil || *c.Shares == 0:
	default:
		l.add("cpu.shares", "CPUWeight", dbus.Uint64(cgroup.Weight(*c.Shares)))
	}
	l.cpuQuota(c)
	return nil
}

func (l *limits) cpuQuota(c *spec.CPU) {
	quota, period := value(c.Quota), uint64(0)
	if c.Period != nil {
		period = *c.Period
	}
	if quota != 0 || period != 0 {
		l.quota("cpu.quota", quota, period)
	}
}

// quota adds a quota in microseconds of each period; one below 1 is no limit.
func (l *limits) quota(pointer string, quota int64, period uint64) {
	if period == 0 {
		period = 100_000 // the kernel's
	}
	perSecond := uint64(infinity)
	if quota > 0 && uint64(quota) < infinity/1_000_000 {
		// systemd counts in hundredths of a CPU: round up, or what is written
		// to the cgroup later would be above its limit.
		const percent = 10_000
		perSecond = (uint64(quota)*1_000_000/period + percent - 1) / percent * percent
	}
	l.add(pointer, "CPUQuotaPerSecUSec", dbus.Uint64(perSecond))
	l.add(pointer, "CPUQuotaPeriodUSec", dbus.Uint64(period))
}

func (l *limits) cpuset(r *spec.Resources) error {
	if r.CPU == nil {
		return nil
	}
	if err := l.set("cpu.cpus", "AllowedCPUs", r.CPU.Cpus); err != nil {
		return err
	}
	return l.set("cpu.mems", "AllowedMemoryNodes", r.CPU.Mems)
}

// set adds a list like 0-3,7 as the bits that systemd takes.
func (l *limits) set(pointer, name, list string) error {
	if strings.TrimSpace(list) == "" {
		return nil
	}
	set, err := spec.ParseCPUList(strings.TrimSpace(list))
	if err != nil {
		return &spec.Error{Pointer: "linux.resources." + pointer, Err: err}
	}
	b := make([]byte, 0, 8*len(set))
	for _, word := range set {
		for range 8 {
			b = append(b, byte(word))
			word >>= 8
		}
	}
	l.add(pointer, name, dbus.Value{Type: "ay", Text: strings.TrimRight(string(b), "\x00")})
	return nil
}

func (l *limits) pids(r *spec.Resources) error {
	if r.Pids == nil || r.Pids.Limit == nil {
		return nil
	}
	n := *r.Pids.Limit
	if n == 0 {
		n = 1 // as the cgroup has it
	}
	l.number("pids.limit", "TasksMax", n)
	return nil
}

func (l *limits) io(r *spec.Resources) error {
	b := r.BlockIO
	if b == nil {
		return nil
	}
	if b.Weight != nil && *b.Weight != 0 {
		l.add("blockIO.weight", "IOWeight", dbus.Uint64(cgroup.IOWeight(*b.Weight)))
	}
	for i := range b.WeightDevices {
		if d := &b.WeightDevices[i]; d.Weight != nil && *d.Weight != 0 {
			l.device("blockIO.weightDevice["+strconv.Itoa(i)+"]", "IODeviceWeight", d.Major, d.Minor, cgroup.IOWeight(*d.Weight))
		}
	}
	for _, t := range [...]struct {
		pointer, name string
		list          []spec.ThrottleDevice
	}{
		{"throttleReadBpsDevice", "IOReadBandwidthMax", b.ThrottleReadBps},
		{"throttleWriteBpsDevice", "IOWriteBandwidthMax", b.ThrottleWriteBps},
		{"throttleReadIOPSDevice", "IOReadIOPSMax", b.ThrottleReadIOPS},
		{"throttleWriteIOPSDevice", "IOWriteIOPSMax", b.ThrottleWriteIOPS},
	} {
		for i := range t.list {
			if d := &t.list[i]; d.Rate != 0 {
				l.device("blockIO."+t.pointer+"["+strconv.Itoa(i)+"]", t.name, d.Major, d.Minor, d.Rate)
			}
		}
	}
	return nil
}

func (l *limits) device(pointer, name string, major, minor int64, n uint64) {
	path := "/dev/block/" + strconv.FormatInt(major, 10) + ":" + strconv.FormatInt(minor, 10)
	l.add(pointer, name, dbus.Value{Type: "a(st)", List: []dbus.Value{dbus.Struct(dbus.String(path), dbus.Uint64(n))}})
}

// unified adds the files of cgroup v2 that systemd has a property for.
func (l *limits) unified(r *spec.Resources) error {
	for i := range r.Unified {
		key, text := r.Unified[i].Key, strings.TrimSpace(r.Unified[i].Value)
		pointer := "unified." + key
		name := ""
		switch key {
		case "memory.min":
			name = "MemoryMin"
		case "memory.low":
			name = "MemoryLow"
		case "memory.high":
			name = "MemoryHigh"
		case "memory.max":
			name = "MemoryMax"
		case "memory.swap.max":
			name = "MemorySwapMax"
		case "memory.zswap.max":
			if l.version >= 253 {
				name = "MemoryZSwapMax"
			}
		case "pids.max":
			name = "TasksMax"
		case "cpu.weight":
			name = "CPUWeight"
		case "cpu.idle":
			if text == "1" && l.version >= 252 {
				l.add(pointer, "CPUWeight", dbus.Uint64(0))
			}
		case "cpu.max":
			quota, period, _ := strings.Cut(text, " ")
			q, err := strconv.ParseInt(quota, 10, 64)
			p, _ := strconv.ParseUint(strings.TrimSpace(period), 10, 64)
			if err == nil && q > 0 || quota == "max" {
				l.quota(pointer, q, p)
			}
		case "cpuset.cpus", "cpuset.mems":
			if err := l.set(pointer, map[string]string{"cpuset.cpus": "AllowedCPUs", "cpuset.mems": "AllowedMemoryNodes"}[key], text); err != nil {
				return err
			}
		case "memory.oom.group":
			// systemd sets the file by its policy, since version 253.
			if policy := map[string]string{"0": "continue", "1": "kill"}[text]; policy != "" && l.version >= 253 {
				l.add(pointer, "OOMPolicy", dbus.String(policy))
			}
		}
		if name == "" {
			continue
		}
		// What is no number the kernel refuses, with the reason.
		n, err := strconv.ParseUint(text, 10, 64)
		if text == "max" {
			n, err = infinity, nil
		}
		if err == nil {
			l.add(pointer, name, dbus.Uint64(n))
		}
	}
	return nil
}

func value(n *int64) int64 {
	if n == nil {
		return 0
	}
	return max(*n, -1)
}
