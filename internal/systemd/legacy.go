package systemd

import (
	"strconv"
	"strings"

	"ostia/internal/cgroup"
	"ostia/internal/dbus"
	"ostia/internal/file"
	"ostia/internal/spec"
)

// legacy adds the limits whose properties are others on cgroup v1. systemd
// knows nothing there of what counts memory and swap together.
func (l *limits) legacy(r *spec.Resources) {
	if m := r.Memory; m != nil && value(m.Limit) != 0 {
		l.number("memory.limit", "MemoryLimit", value(m.Limit))
	}
	if c := r.CPU; c != nil {
		if c.Shares != nil && *c.Shares != 0 {
			l.add("cpu.shares", "CPUShares", dbus.Uint64(*c.Shares))
		}
		l.cpuQuota(c)
	}
	if b := r.BlockIO; b != nil && b.Weight != nil && *b.Weight != 0 {
		l.add("blockIO.weight", "BlockIOWeight", dbus.Uint64(uint64(*b.Weight)))
	}
}

// Devices are the properties that device rules come to on cgroup v1, where
// systemd opens all devices to a unit without them whenever it writes. What it
// cannot say is left out and so denied from such a writing on: a device of
// which the host has no driver. That all but a few devices are allowed it
// cannot say at all.
func Devices(r *spec.Resources) ([]Property, error) {
	var given []spec.DeviceRule
	if r != nil {
		given = r.Devices
	}
	all, list, err := cgroup.DeviceExceptions(given)
	if all || err != nil {
		return nil, err
	}
	drivers, err := file.Read("/proc/devices")
	if err != nil {
		return nil, err
	}
	allow := dbus.Value{Type: "a(ss)"}
	for i := range list {
		if name := deviceName(&list[i], drivers); name != "" {
			allow.List = append(allow.List, dbus.Struct(dbus.String(name), dbus.String(cgroup.AccessText(list[i].Access))))
		}
	}
	pointer := "linux.resources.devices"
	return []Property{
		{Name: "DevicePolicy", Value: dbus.String("strict"), Pointer: pointer},
		{Name: "DeviceAllow", Value: allow, Pointer: pointer},
	}, nil
}

// deviceName is what a rule covers as DeviceAllow= names it: /dev/char/1:3,
// char-pts for all of a major number, block-*; empty is nothing that it can
// name.
func deviceName(r *spec.DeviceRule, drivers string) string {
	kind, title := "char", "Character devices:"
	if r.Type == 'b' {
		kind, title = "block", "Block devices:"
	}
	major := strconv.FormatInt(r.Major, 10)
	switch {
	case r.Major < 0 && r.Minor < 0:
		return kind + "-*"
	case r.Major < 0:
		return ""
	case r.Minor >= 0:
		return "/dev/" + kind + "/" + major + ":" + strconv.FormatInt(r.Minor, 10)
	}
	_, section, _ := strings.Cut(drivers, title)
	section, _, _ = strings.Cut(section, "\n\n")
	for line := range strings.SplitSeq(section, "\n") {
		number, name, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok && number == major {
			return kind + "-" + name
		}
	}
	return ""
}
