package cgroup

import (
	"strconv"
	"strings"

	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// setMemory applies linux.resources.memory. As with runc 0 is not given and -1
// no limit; the limit of the kernel's memory, which Linux 5.16 has taken away,
// is ignored.
func (t *tree) setMemory(r *spec.Resources) error {
	m := r.Memory
	if m == nil {
		return nil
	}
	if err := t.checkUsage(m); err != nil {
		return err
	}
	if t.group.V2 {
		return t.setMemoryV2(m)
	}
	return t.setMemoryV1(m)
}

func (t *tree) setMemoryV2(m *spec.Memory) error {
	limit, reservation := given(m.Limit), given(m.Reservation)
	most, limited, err := SwapLimit(m)
	if err != nil {
		return err
	}
	if value := numberOrMax(most); limited {
		e, err := t.setOr("linux.resources.memory.swap", "memory", "memory.swap.max", value, unix.ENOENT)
		if err != nil {
			return err
		}
		// A kernel without swap accounting, or without swap, has no such file.
		// No swap is then what it gives, and no limit what it has.
		if e != 0 && (value != "max" && value != "0" || !contains(t.leaves[0].folder, "cgroup.controllers", "memory")) {
			return &spec.Error{Pointer: "linux.resources.memory.swap",
				Err: t.explain(t.leaves[0].folder, "memory", "memory.swap.max", value, e)}
		}
	}
	if limit != 0 {
		if err := t.set("linux.resources.memory.limit", "memory", "memory.max", numberOrMax(limit)); err != nil {
			return err
		}
	}
	if reservation != 0 {
		if err := t.set("linux.resources.memory.reservation", "memory", "memory.low", numberOrMax(reservation)); err != nil {
			return err
		}
	}
	switch {
	case m.Swappiness != nil:
		return refuse("memory.swappiness", "cgroup v2 has no swappiness of a cgroup: leave it out, or set vm.swappiness on the host")
	case m.DisableOOMKiller != nil && *m.DisableOOMKiller:
		return refuse("memory.disableOOMKiller", "cgroup v2 cannot disable the OOM killer: leave it out; memory.high in linux.resources.unified slows down instead of killing")
	case given(m.KernelTCP) != 0:
		return refuse("memory.kernelTCP", "cgroup v2 counts the buffers of TCP with all other memory: leave it out, and set memory.limit")
	case m.UseHierarchy != nil && !*m.UseHierarchy:
		return refuse("memory.useHierarchy", "cgroup v2 is always hierarchical: leave it out")
	}
	return nil
}

// SwapLimit is the swap limit of version 2, which counts swap alone, from that
// of the configuration, which counts memory and swap; -1 is no limit, limited
// says that there is anything to set.
func SwapLimit(m *spec.Memory) (most int64, limited bool, err error) {
	limit, swap := given(m.Limit), given(m.Swap)
	switch {
	case limit == -1 && swap == 0:
		// On version 1 a memory limit that is lifted lifts that of both.
		return -1, true, nil
	case swap == 0:
		return 0, false, nil
	case swap == -1:
		return -1, true, nil
	case limit == -1:
		return swap, true, nil
	case limit == 0:
		return 0, false, refuse("memory.swap", "is memory and swap together: memory.limit must be given too")
	case swap < limit:
		return 0, false, refuse("memory.swap", strconv.FormatInt(swap, 10)+" is memory and swap together and below memory.limit "+strconv.FormatInt(limit, 10))
	}
	return swap - limit, true, nil
}

func (t *tree) setMemoryV1(m *spec.Memory) error {
	limit, swap, reservation := given(m.Limit), given(m.Swap), given(m.Reservation)
	if limit == -1 && swap == 0 {
		if _, err := t.setOr("linux.resources.memory.limit", "memory", "memory.memsw.limit_in_bytes", "-1", unix.ENOENT); err != nil {
			return err
		}
	}
	var late unix.Errno
	if limit != 0 {
		except := []unix.Errno(nil)
		if swap != 0 {
			// Above the present limit of memory and swap: raise that first.
			except = []unix.Errno{unix.EINVAL}
		}
		var err error
		if late, err = t.setOr("linux.resources.memory.limit", "memory", "memory.limit_in_bytes", strconv.FormatInt(limit, 10), except...); err != nil {
			return err
		}
	}
	if swap != 0 {
		if swap != -1 && swap < limit {
			return refuse("memory.swap", strconv.FormatInt(swap, 10)+" is memory and swap together and below memory.limit "+strconv.FormatInt(limit, 10))
		}
		var except []unix.Errno
		if swap == -1 {
			except = []unix.Errno{unix.ENOENT}
		}
		if _, err := t.setOr("linux.resources.memory.swap", "memory", "memory.memsw.limit_in_bytes", strconv.FormatInt(swap, 10), except...); err != nil {
			return err
		}
	}
	if late != 0 {
		if err := t.set("linux.resources.memory.limit", "memory", "memory.limit_in_bytes", strconv.FormatInt(limit, 10)); err != nil {
			return err
		}
	}
	if reservation != 0 {
		if err := t.set("linux.resources.memory.reservation", "memory", "memory.soft_limit_in_bytes", strconv.FormatInt(reservation, 10)); err != nil {
			return err
		}
	}
	if tcp := given(m.KernelTCP); tcp != 0 {
		if err := t.set("linux.resources.memory.kernelTCP", "memory", "memory.kmem.tcp.limit_in_bytes", strconv.FormatInt(tcp, 10)); err != nil {
			return err
		}
	}
	if m.DisableOOMKiller != nil && *m.DisableOOMKiller {
		if err := t.set("linux.resources.memory.disableOOMKiller", "memory", "memory.oom_control", "1"); err != nil {
			return err
		}
	}
	if m.UseHierarchy != nil && !*m.UseHierarchy {
		if err := t.set("linux.resources.memory.useHierarchy", "memory", "memory.use_hierarchy", "0"); err != nil {
			return err
		}
	}
	// The engines write -1 as an unsigned number for "not given".
	if m.Swappiness != nil && int64(*m.Swappiness) != -1 {
		if *m.Swappiness > 100 {
			return refuse("memory.swappiness", strconv.FormatUint(*m.Swappiness, 10)+" is not between 0 and 100")
		}
		return t.set("linux.resources.memory.swappiness", "memory", "memory.swappiness", strconv.FormatUint(*m.Swappiness, 10))
	}
	return nil
}

// checkUsage refuses a limit below what is used now, when the configuration
// asks for the check: the kernel would kill processes to get there.
func (t *tree) checkUsage(m *spec.Memory) error {
	if m.CheckBeforeUpdate == nil || !*m.CheckBeforeUpdate {
		return nil
	}
	f, err := t.controller("memory")
	if err != nil {
		return &spec.Error{Pointer: "linux.resources.memory", Err: err}
	}
	file := "memory.usage_in_bytes"
	if t.group.V2 {
		file = "memory.current"
	}
	text, err := f.read(file)
	if err != nil {
		return nil // without the controller the limit itself fails
	}
	usage, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return &Error{"read", f.path + "/" + file, err}
	}
	for _, l := range [...]struct {
		name, what string
		limit      int64
	}{{"swap", "memory+swap", given(m.Swap)}, {"limit", "memory", given(m.Limit)}} {
		if l.limit > 0 && l.limit <= usage {
			return refuse("memory."+l.name, "rejecting "+l.what+" limit "+strconv.FormatInt(l.limit, 10)+": it is not above the "+strconv.FormatInt(usage, 10)+" bytes in use (checkBeforeUpdate)")
		}
	}
	return nil
}

func given(v *int64) int64 {
	if v == nil {
		return 0
	}
	return *v
}

// numberOrMax is a number as version 2 writes it, below 0 no limit.
func numberOrMax(n int64) string {
	if n < 0 {
		return "max"
	}
	return strconv.FormatInt(n, 10)
}
