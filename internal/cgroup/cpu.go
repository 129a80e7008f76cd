package cgroup

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// setCPU applies linux.resources.cpu except the CPU set. 0 is not given, save
// for burst and idle.
func (t *tree) setCPU(r *spec.Resources) error {
	c := r.CPU
	if c == nil {
		return nil
	}
	// An idle cgroup has no weight: first what ends that, last what begins it.
	idle := c.Idle != nil && *c.Idle != 0
	if c.Idle != nil && !idle {
		if err := t.set("linux.resources.cpu.idle", "cpu", "cpu.idle", "0"); err != nil {
			return err
		}
	}
	if err := t.setShares(c, idle); err != nil {
		return err
	}
	if idle {
		if err := t.set("linux.resources.cpu.idle", "cpu", "cpu.idle", strconv.FormatInt(*c.Idle, 10)); err != nil {
			return err
		}
	}
	var err error
	if t.group.V2 {
		err = t.setQuotaV2(c)
	} else {
		err = t.setQuotaV1(c)
	}
	if err != nil {
		return err
	}
	return t.setRealtime(c)
}

// setShares writes the weight. A cgroup that is idle already and stays so has
// none to set.
func (t *tree) setShares(c *spec.CPU, idle bool) error {
	if c.Shares == nil || *c.Shares == 0 {
		return nil
	}
	file, value := "cpu.weight", Weight(*c.Shares)
	if !t.group.V2 {
		file, value = "cpu.shares", *c.Shares
		if value < minShares || value > maxShares {
			return refuse("cpu.shares", strconv.FormatUint(value, 10)+" is not between 2 and 262144, which is what the kernel takes")
		}
	}
	var except []unix.Errno
	if idle {
		except = []unix.Errno{unix.EINVAL}
	}
	_, err := t.setOr("linux.resources.cpu.shares", "cpu", file, strconv.FormatUint(value, 10), except...)
	return err
}

const minShares, maxShares = 2, 262144

// Weight is the version 2 weight, 1 to 10000, of version 1 shares. The curve
// maps the least, the default and the greatest onto each other: 2 to 1, 1024 to
// 100, 262144 to 10000 (runc and crun since 2025).
func Weight(shares uint64) uint64 {
	if shares <= minShares {
		return 1
	}
	if shares >= maxShares {
		return 10000
	}
	l := math.Log2(float64(shares))
	return uint64(math.Ceil(math.Pow(10, (l*l+125*l)/612-7.0/34)))
}

// setQuotaV2 writes cpu.max and cpu.max.burst. A burst above the present quota
// is refused by the kernel: then it is written again after the quota.
func (t *tree) setQuotaV2(c *spec.CPU) error {
	quota, period := given(c.Quota), uint64(0)
	if c.Period != nil {
		period = *c.Period
	}
	late, err := t.setBurst(c, "cpu.max.burst", quota != 0)
	if err != nil {
		return err
	}
	if quota != 0 || period != 0 {
		value := numberOrMax(quota)
		if quota == 0 {
			value = t.quotaV2()
		}
		if period != 0 { // without one the kernel keeps what it has
			value += " " + strconv.FormatUint(period, 10)
		}
		if err := t.set(quotaPointer(c), "cpu", "cpu.max", value); err != nil {
			return err
		}
	}
	if late {
		_, err = t.setBurst(c, "cpu.max.burst", false)
	}
	return err
}

// quotaV2 is the present quota.
func (t *tree) quotaV2() string {
	text, err := t.leaves[0].read("cpu.max")
	if quota, _, ok := strings.Cut(text, " "); err == nil && ok {
		return quota
	}
	return "max"
}

// setQuotaV1 writes period, burst and quota. The kernel checks each against
// the present others: what it refuses is written again after the quota.
func (t *tree) setQuotaV1(c *spec.CPU) error {
	quota := given(c.Quota)
	var latePeriod unix.Errno
	period := func(except ...unix.Errno) (err error) {
		if c.Period != nil && *c.Period != 0 {
			latePeriod, err = t.setOr("linux.resources.cpu.period", "cpu", "cpu.cfs_period_us", strconv.FormatUint(*c.Period, 10), except...)
		}
		return err
	}
	var except []unix.Errno
	if quota != 0 {
		except = []unix.Errno{unix.EINVAL}
	}
	if err := period(except...); err != nil {
		return err
	}
	lateBurst, err := t.setBurst(c, "cpu.cfs_burst_us", quota != 0)
	if err != nil {
		return err
	}
	if quota != 0 {
		if err := t.set("linux.resources.cpu.quota", "cpu", "cpu.cfs_quota_us", strconv.FormatInt(quota, 10)); err != nil {
			return err
		}
	}
	if latePeriod != 0 {
		if err := period(); err != nil {
			return err
		}
	}
	if lateBurst {
		_, err = t.setBurst(c, "cpu.cfs_burst_us", false)
	}
	return err
}

// setBurst reports whether the burst has to be written again.
func (t *tree) setBurst(c *spec.CPU, file string, again bool) (bool, error) {
	if c.Burst == nil {
		return false, nil
	}
	var except []unix.Errno
	if again {
		except = []unix.Errno{unix.EINVAL}
	}
	if *c.Burst == 0 {
		// None is what a kernel before 5.14 gives.
		except = append(except, unix.ENOENT)
	}
	e, err := t.setOr("linux.resources.cpu.burst", "cpu", file, strconv.FormatUint(*c.Burst, 10), except...)
	return e == unix.EINVAL, err
}

func (t *tree) setRealtime(c *spec.CPU) error {
	period, runtime := uint64(0), given(c.RealtimeRuntime)
	if c.RealtimePeriod != nil {
		period = *c.RealtimePeriod
	}
	if period == 0 && runtime == 0 {
		return nil
	}
	if t.group.V2 {
		name := "realtimeRuntime"
		if runtime == 0 {
			name = "realtimePeriod"
		}
		return refuse("cpu."+name, "cgroup v2 has no realtime bandwidth: leave it out")
	}
	// Runtime may not exceed the period: again, whichever fits comes first.
	write := func(name, file, value string, except ...unix.Errno) (unix.Errno, error) {
		if value == "0" {
			return 0, nil
		}
		return t.setOr("linux.resources.cpu."+name, "cpu", file, value, except...)
	}
	p, q := strconv.FormatUint(period, 10), strconv.FormatInt(runtime, 10)
	var except []unix.Errno
	if runtime != 0 {
		except = []unix.Errno{unix.EINVAL}
	}
	late, err := write("realtimePeriod", "cpu.rt_period_us", p, except...)
	if err != nil {
		return err
	}
	if _, err := write("realtimeRuntime", "cpu.rt_runtime_us", q); err != nil {
		return err
	}
	if late != 0 {
		_, err = write("realtimePeriod", "cpu.rt_period_us", p)
	}
	return err
}

func quotaPointer(c *spec.CPU) string {
	if c.Quota != nil && *c.Quota != 0 {
		return "linux.resources.cpu.quota"
	}
	return "linux.resources.cpu.period"
}

// setCpuset applies the CPUs and memory nodes. On version 1 a cgroup has none
// until they are written, and takes no process: what the configuration leaves
// out comes from the cgroup above.
func (t *tree) setCpuset(r *spec.Resources) error {
	i := t.group.find("cpuset")
	if !t.group.V2 && i >= 0 && t.leaves[i].top.fd >= 0 {
		if err := t.leaves[i].fillAbove(); err != nil {
			return err
		}
	}
	if r.CPU != nil {
		for _, s := range [...]struct{ name, value string }{{"cpus", r.CPU.Cpus}, {"mems", r.CPU.Mems}} {
			if s.value == "" {
				continue
			}
			pointer, file := "linux.resources.cpu."+s.name, "cpuset."+s.name
			if !t.group.V2 && i >= 0 {
				file = t.leaves[i].cpusetFile(s.name)
			}
			if err := t.set(pointer, "cpuset", file, s.value); err != nil {
				return cpusetReason(err, s.value)
			}
		}
	}
	if !t.group.V2 && i >= 0 && t.leaves[i].top.fd >= 0 {
		l := &t.leaves[i]
		return l.fillCpuset(l.down)
	}
	return nil
}

// cpusetReason says what the kernel means by its answer to a list.
func cpusetReason(err error, value string) error {
	var refused *spec.Error
	if errors.As(err, &refused) && (errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.ERANGE) || errors.Is(err, unix.ENOSPC)) {
		return &spec.Error{Pointer: refused.Pointer, Err: &valueError{strconv.Quote(value) +
			" has a number that this host, or the cgroup above, does not have: use a list like 0-3,7", refused.Err}}
	}
	return err
}

// fillAbove fills the cgroup above the leaf.
func (l *leaf) fillAbove() error {
	if i := strings.LastIndexByte(l.down, '/'); i >= 0 {
		return l.fillCpuset(l.down[:i])
	}
	return nil
}

// fillCpuset gives a cgroup without CPUs or memory nodes those of the one
// above.
func (l *leaf) fillCpuset(down string) error {
	f, err := l.top.open(down)
	if err != nil {
		return err
	}
	defer f.close()
	above := ""
	if i := strings.LastIndexByte(down, '/'); i >= 0 {
		above = down[:i]
	}
	for _, name := range [...]string{"cpus", "mems"} {
		file := f.cpusetFile(name)
		if text, err := f.read(file); err != nil || strings.TrimSpace(text) != "" {
			if err != nil {
				return &Error{"read", f.path + "/" + file, err}
			}
			continue
		}
		text, err := l.readAbove(above, file)
		if err == nil {
			err = f.write(file, strings.TrimSpace(text))
		}
		if err != nil {
			return &Error{"write", f.path + "/" + file, err}
		}
	}
	return nil
}

// readAbove reads a file of the cgroup above, filled first.
func (l *leaf) readAbove(down, file string) (string, error) {
	if down == "" {
		return l.top.read(file)
	}
	if err := l.fillCpuset(down); err != nil {
		return "", err
	}
	f, err := l.top.open(down)
	if err != nil {
		return "", err
	}
	defer f.close()
	return f.read(file)
}

// cpusetFile is a file's name in a version 1 hierarchy, which may have been
// mounted with noprefix.
func (f folder) cpusetFile(name string) string {
	if unix.Faccessat(f.fd, "cpuset."+name, unix.F_OK, 0) == unix.ENOENT {
		return name
	}
	return "cpuset." + name
}
