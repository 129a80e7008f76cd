package cgroup

import (
	"errors"
	"strconv"
	"strings"
)

// Quota is the CPU time that the cgroup may use at present, in microseconds of
// each period; -1 is no limit.
func (g *Group) Quota() (quota int64, period uint64, err error) {
	f, err := g.openController("cpu")
	if err != nil {
		return 0, 0, err
	}
	defer f.close()
	file := "cpu.max"
	text, err := f.read(file)
	if !g.V2 {
		file = "cpu.cfs_quota_us"
		if text, err = f.read(file); err == nil {
			var rest string
			rest, err = f.read("cpu.cfs_period_us")
			text = strings.TrimSpace(text) + " " + rest
		}
	}
	if err == nil {
		first, second, _ := strings.Cut(strings.TrimSpace(text), " ")
		if quota, err = strconv.ParseInt(first, 10, 64); first == "max" {
			quota, err = -1, nil
		}
		if err == nil {
			period, err = strconv.ParseUint(second, 10, 64)
		}
	}
	if err != nil {
		return 0, 0, &Error{"read", f.path + "/" + file, err}
	}
	return quota, period, nil
}

// Idle reports whether the cgroup's processes run only when nobody else wants
// the CPU.
func (g *Group) Idle() bool {
	f, err := g.openController("cpu")
	if err != nil {
		return false
	}
	defer f.close()
	text, err := f.read("cpu.idle")
	return err == nil && strings.TrimSpace(text) == "1"
}

func (g *Group) openController(name string) (folder, error) {
	i := g.find(name)
	if i < 0 {
		return folder{fd: -1}, errors.New("the cgroup controller " + name + " is not mounted on this host")
	}
	return g.Dirs[i].open()
}
