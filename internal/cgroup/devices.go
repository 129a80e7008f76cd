package cgroup

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"ostia/internal/linux"
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// filterDevices applies linux.resources.devices and, after them, what every
// container may use. Without rules nothing else is allowed.
func (t *tree) filterDevices(given []spec.DeviceRule) error {
	for i := range given {
		// Version 1 reads 2^32-1 as all devices, and the program compares 32 bits.
		if d := &given[i]; d.Major >= math.MaxUint32 || d.Minor >= math.MaxUint32 {
			return &spec.Error{Pointer: "linux.resources.devices[" + strconv.Itoa(i) + "]", Err: errors.New(number(d.Major, d.Minor) + " is no device number")}
		}
	}
	filter := compileRules(given)
	var err error
	if t.group.V2 {
		err = t.filterV2(filter)
	} else {
		err = t.filterV1(filter)
	}
	// An ordinary user may neither filter devices nor make their nodes.
	if (errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)) && (unix.Geteuid() != 0 || linux.InUserNS()) {
		return nil
	}
	if err != nil {
		return &spec.Error{Pointer: "linux.resources.devices", Err: err}
	}
	return nil
}

const accessAll = spec.AccessRead | spec.AccessWrite | spec.AccessMknod

// deviceFilter is what a list of rules comes to: for each device and each kind
// of access the last rule that matches decides, else allow.
type deviceFilter struct {
	allow bool
	rules []spec.DeviceRule // of type 'c' and 'b' only, none twice
}

// compileRules adds the default devices to the rules and drops what has no
// effect. A rule for all devices resets what came before it, whatever its
// access, as on version 1.
func compileRules(given []spec.DeviceRule) deviceFilter {
	all := make([]spec.DeviceRule, 0, len(given)+len(defaultDevices))
	all = append(append(all, given...), defaultDevices[:]...)
	var f deviceFilter
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Type == 'a' {
			f.allow = all[i].Allow
			all = all[i+1:]
			break
		}
	}
	f.rules = all[:0]
	for i := range all {
		if !isRepeated(all[i], all[i+1:]) && (len(f.rules) > 0 || all[i].Allow != f.allow) {
			f.rules = append(f.rules, all[i])
		}
	}
	return f
}

// isRepeated reports whether a later rule decides all that this one does.
func isRepeated(r spec.DeviceRule, later []spec.DeviceRule) bool {
	for i := range later {
		if l := &later[i]; l.Type == r.Type && l.Major == r.Major && l.Minor == r.Minor && r.Access&^l.Access == 0 {
			return true
		}
	}
	return false
}

// defaultDevices are what runc allows in every container: to make the node of
// any device, the devices of config-linux.md#default-devices, the terminals of
// devpts, and /dev/net/tun, which was in the list for so long that images rely
// on it.
var defaultDevices = [...]spec.DeviceRule{
	{Allow: true, Type: 'c', Major: -1, Minor: -1, Access: spec.AccessMknod},
	{Allow: true, Type: 'b', Major: -1, Minor: -1, Access: spec.AccessMknod},
	{Allow: true, Type: 'c', Major: 1, Minor: 3, Access: accessAll},    // null
	{Allow: true, Type: 'c', Major: 1, Minor: 5, Access: accessAll},    // zero
	{Allow: true, Type: 'c', Major: 1, Minor: 7, Access: accessAll},    // full
	{Allow: true, Type: 'c', Major: 1, Minor: 8, Access: accessAll},    // random
	{Allow: true, Type: 'c', Major: 1, Minor: 9, Access: accessAll},    // urandom
	{Allow: true, Type: 'c', Major: 5, Minor: 0, Access: accessAll},    // tty
	{Allow: true, Type: 'c', Major: 5, Minor: 2, Access: accessAll},    // ptmx
	{Allow: true, Type: 'c', Major: 136, Minor: -1, Access: accessAll}, // pts
	{Allow: true, Type: 'c', Major: 10, Minor: 200, Access: accessAll}, // net/tun
}

// filterV2 attaches a program. A filter that allows all is none.
func (t *tree) filterV2(filter deviceFilter) error {
	l := &t.leaves[0]
	var old []int
	if l.used {
		var err error
		if old, err = attachedPrograms(l.fd); err != nil {
			return &valueError{"query the eBPF programs of " + l.path + ": " + err.Error(), err}
		}
		defer func() {
			for _, fd := range old {
				unix.Close(fd)
			}
		}()
	}
	if !filter.denies() {
		for _, fd := range old {
			if err := detachProgram(l.fd, fd); err != nil {
				return &valueError{"detach the eBPF program of " + l.path + ": " + err.Error(), err}
			}
		}
		return nil
	}
	program, err := loadProgram(filter.program())
	if err != nil {
		return &valueError{"load the eBPF program: " + err.Error() + ": the kernel needs CONFIG_CGROUP_BPF and ostia CAP_BPF or CAP_SYS_ADMIN", err}
	}
	defer unix.Close(program)
	replace := -1
	if len(old) == 1 {
		replace = old[0]
	}
	if err := attachProgram(l.fd, program, replace); err != nil {
		return &valueError{"attach the eBPF program to " + l.path + ": " + err.Error(), err}
	}
	if replace < 0 {
		for _, fd := range old {
			if err := detachProgram(l.fd, fd); err != nil {
				return &valueError{"detach the eBPF program of " + l.path + ": " + err.Error(), err}
			}
		}
	}
	return nil
}

func (f *deviceFilter) denies() bool {
	for i := range f.rules {
		if !f.rules[i].Allow {
			return true
		}
	}
	return !f.allow
}

// filterV1 writes the exceptions from what is allowed or denied otherwise.
func (t *tree) filterV1(filter deviceFilter) error {
	if linux.InUserNS() {
		return nil // the kernel wants CAP_SYS_ADMIN in the first user namespace
	}
	f, err := t.controller("devices")
	if err != nil {
		return err
	}
	exceptions, err := filter.exceptions()
	if err != nil {
		return err
	}
	list, err := f.read("devices.list")
	if err != nil {
		return &Error{"read", f.path + "/devices.list", err}
	}
	// What a new cgroup has from above, or an updated one from before. A list
	// of what is denied cannot be read back: both are reset. A list of what is
	// allowed is only cut down, so that running processes do not lose a device
	// in between.
	if list == "a *:* rwm\n" || filter.allow {
		if err := f.writeDevice(filter.allow, "a"); err != nil {
			return err
		}
		list = ""
	}
	for i := range exceptions {
		if err := f.writeDevice(!filter.allow, deviceRule(&exceptions[i])); err != nil {
			return err
		}
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(list, "\n"), "\n") {
		if rule := excess(line, exceptions); rule != "" {
			if err := f.writeDevice(false, rule); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f folder) writeDevice(allow bool, rule string) error {
	file := "devices.deny"
	if allow {
		file = "devices.allow"
	}
	err := f.write(file, rule)
	if err == unix.EPERM && allow {
		return &valueError{"write " + strconv.Quote(rule) + " to " + f.path + "/" + file + ": operation not permitted: the cgroup above does not allow it", err}
	}
	if err != nil {
		return &Error{"write " + strconv.Quote(rule) + " to", f.path + "/" + file, err}
	}
	return nil
}

// exceptions is the filter as version 1 keeps it: a set without an order. A
// rule takes back what it covers whole; one that takes back a part of an
// earlier, wider rule is refused, because the kernel drops it without a word.
func (f *deviceFilter) exceptions() ([]spec.DeviceRule, error) {
	var set []spec.DeviceRule
	for i := range f.rules {
		r := f.rules[i]
		if r.Allow != f.allow {
			set = append(set, r)
			continue
		}
		kept := set[:0]
		for _, e := range set {
			if e.Type == r.Type && e.Access&r.Access != 0 {
				switch {
				case covers(r.Major, e.Major) && covers(r.Minor, e.Minor):
					e.Access &^= r.Access
				case (covers(e.Major, r.Major) || covers(r.Major, e.Major)) && (covers(e.Minor, r.Minor) || covers(r.Minor, e.Minor)):
					return nil, errors.New("cgroup v1 cannot take \"" + deviceRule(&r) + "\" out of the earlier rule \"" + deviceRule(&e) + "\": list the devices one by one")
				}
			}
			if e.Access != 0 {
				kept = append(kept, e)
			}
		}
		set = kept
	}
	return set, nil
}

// DeviceExceptions are linux.resources.devices, with what every container may
// use, as version 1 keeps them: what is allowed though all else is denied, or
// the other way round.
func DeviceExceptions(given []spec.DeviceRule) (allow bool, list []spec.DeviceRule, err error) {
	filter := compileRules(given)
	list, err = filter.exceptions()
	if err != nil {
		err = &spec.Error{Pointer: "linux.resources.devices", Err: err}
	}
	return filter.allow, list, err
}

// covers reports whether a device number of a rule, or all, includes another.
func covers(a, b int64) bool { return a < 0 || a == b }

// excess is the part of a line of devices.list that is not among the rules, as
// a rule; empty is none.
func excess(line string, rules []spec.DeviceRule) string {
	device, access, ok := cutLast(line)
	if !ok {
		return ""
	}
	var left uint8
	for i := range access {
		left |= accessBit(access[i])
	}
	for i := range rules {
		if d, _, _ := cutLast(deviceRule(&rules[i])); d == device {
			left &^= rules[i].Access
		}
	}
	if left == 0 {
		return ""
	}
	return device + " " + AccessText(left)
}

func cutLast(line string) (before, after string, ok bool) {
	i := strings.LastIndexByte(line, ' ')
	if i < 0 {
		return "", "", false
	}
	return line[:i], line[i+1:], true
}

// deviceRule is a rule as version 1 writes it: "c 1:3 rwm", "b 8:* r".
func deviceRule(r *spec.DeviceRule) string {
	part := func(n int64) string {
		if n < 0 {
			return "*"
		}
		return strconv.FormatInt(n, 10)
	}
	return string(rune(r.Type)) + " " + part(r.Major) + ":" + part(r.Minor) + " " + AccessText(r.Access)
}

// AccessText is what a device rule allows as letters: "rwm".
func AccessText(access uint8) string {
	s := ""
	for _, c := range [...]byte{'r', 'w', 'm'} {
		if access&accessBit(c) != 0 {
			s += string(rune(c))
		}
	}
	return s
}

func accessBit(c byte) uint8 {
	switch c {
	case 'r':
		return spec.AccessRead
	case 'w':
		return spec.AccessWrite
	case 'm':
		return spec.AccessMknod
	}
	return 0
}
