package cgroup

import (
	"errors"
	"os"
	"strings"
	"testing"

	"ostia/internal/spec"
)

func of[T any](v T) *T { return &v }

// value is a file of the cgroup of a controller.
func value(t *testing.T, g *Group, controller, file string) string {
	t.Helper()
	b, err := os.ReadFile(g.Dirs[g.find(controller)].Path + "/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// has reports whether the hierarchy has a controller to test with.
func has(g *Group, controller string) bool {
	if !g.V2 {
		return g.find(controller) >= 0
	}
	return hasWord(root+"/cgroup.controllers", controller)
}

func hasWord(path, word string) bool {
	b, _ := os.ReadFile(path)
	for _, w := range strings.Fields(string(b)) {
		if w == word {
			return true
		}
	}
	return false
}

func TestLimits(t *testing.T) {
	type file struct{ controller, name, value string }
	for _, c := range []struct {
		name      string
		resources spec.Resources
		v1, v2    []file
	}{
		{"memory", spec.Resources{Memory: &spec.Memory{Limit: of(int64(64 << 20)), Reservation: of(int64(32 << 20))}},
			[]file{{"memory", "memory.limit_in_bytes", "67108864"}, {"memory", "memory.soft_limit_in_bytes", "33554432"}},
			[]file{{"memory", "memory.max", "67108864"}, {"memory", "memory.low", "33554432"}}},
		{"memory without limit", spec.Resources{Memory: &spec.Memory{Limit: of(int64(-1)), Kernel: of(int64(1 << 20))}},
			[]file{{"memory", "memory.limit_in_bytes", "9223372036854771712"}},
			[]file{{"memory", "memory.max", "max"}}},
		{"swappiness 0", spec.Resources{Memory: &spec.Memory{Swappiness: of(uint64(0)), DisableOOMKiller: of(true)}},
			[]file{{"memory", "memory.swappiness", "0"}}, nil},
		{"pids", spec.Resources{Pids: &spec.Pids{Limit: of(int64(42))}}, []file{{"pids", "pids.max", "42"}}, []file{{"pids", "pids.max", "42"}}},
		{"pids 0", spec.Resources{Pids: &spec.Pids{Limit: of(int64(0))}}, []file{{"pids", "pids.max", "1"}}, []file{{"pids", "pids.max", "1"}}},
		{"pids without limit", spec.Resources{Pids: &spec.Pids{Limit: of(int64(-1))}}, []file{{"pids", "pids.max", "max"}}, []file{{"pids", "pids.max", "max"}}},
		{"cpu", spec.Resources{CPU: &spec.CPU{Shares: of(uint64(2048)), Quota: of(int64(50000)), Period: of(uint64(20000)), Burst: of(uint64(10000))}},
			[]file{{"cpu", "cpu.shares", "2048"}, {"cpu", "cpu.cfs_quota_us", "50000"}, {"cpu", "cpu.cfs_period_us", "20000"}, {"cpu", "cpu.cfs_burst_us", "10000"}},
			[]file{{"cpu", "cpu.weight", "174"}, {"cpu", "cpu.max", "50000 20000"}, {"cpu", "cpu.max.burst", "10000"}}},
		{"cpu quota without limit", spec.Resources{CPU: &spec.CPU{Quota: of(int64(-1))}},
			[]file{{"cpu", "cpu.cfs_quota_us", "-1"}}, []file{{"cpu", "cpu.max", "max 100000"}}},
		{"cpu idle", spec.Resources{CPU: &spec.CPU{Shares: of(uint64(512)), Idle: of(int64(1))}},
			[]file{{"cpu", "cpu.idle", "1"}}, []file{{"cpu", "cpu.idle", "1"}}},
		{"cpuset", spec.Resources{CPU: &spec.CPU{Cpus: "0", Mems: "0"}},
			[]file{{"cpuset", "cpuset.cpus", "0"}, {"cpuset", "cpuset.mems", "0"}},
			[]file{{"cpuset", "cpuset.cpus", "0"}, {"cpuset", "cpuset.mems", "0"}}},
		{"unified", spec.Resources{Unified: []spec.KeyValue{{Key: "memory.high", Value: "1048576"}, {Key: "pids.max", Value: "7\n9\n"}}},
			nil, []file{{"memory", "memory.high", "1048576"}, {"pids", "pids.max", "9"}}},
		{"hugepages", spec.Resources{HugepageLimits: []spec.HugepageLimit{{PageSize: "2MB", Limit: 4 << 20}}},
			[]file{{"hugetlb", "hugetlb.2MB.limit_in_bytes", "4194304"}},
			[]file{{"hugetlb", "hugetlb.2MB.max", "4194304"}, {"hugetlb", "hugetlb.2MB.rsvd.max", "4194304"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := resolve(t, "a/box")
			files := c.v1
			if g.V2 {
				files = c.v2
			}
			if len(files) == 0 {
				if err := g.Create(&c.resources); !isRefused(err) {
					t.Errorf("was not refused: %v", err)
				}
				if exists(g.Dirs[0].Path) {
					t.Error("a failed create left the cgroup")
				}
				return
			}
			for _, f := range files {
				if !has(g, f.controller) {
					err := g.Create(&c.resources)
					if !isRefused(err) || !strings.Contains(err.Error(), "controller "+f.controller) {
						t.Errorf("without the controller: %v", err)
					}
					t.Skip("the host has no controller " + f.controller)
				}
			}
			if err := g.Create(&c.resources); err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				if got := value(t, g, f.controller, f.name); got != f.value {
					t.Errorf("%s is %s, want %s", f.name, got, f.value)
				}
			}
			if err := g.Update(&c.resources); err != nil {
				t.Errorf("again: %v", err)
			}
		})
	}
}

func isRefused(err error) bool {
	var refused *spec.Error
	return errors.As(err, &refused) && strings.HasPrefix(refused.Pointer, "linux.resources.")
}

func TestRefused(t *testing.T) {
	for pointer, r := range map[string]spec.Resources{
		"cpu.cpus":                         {CPU: &spec.CPU{Cpus: "4000"}},
		"cpu.mems":                         {CPU: &spec.CPU{Mems: "x"}},
		"cpu.quota":                        {CPU: &spec.CPU{Quota: of(int64(1))}},
		"hugepageLimits[0].pageSize":       {HugepageLimits: []spec.HugepageLimit{{PageSize: "3MB"}}},
		"memory.swap":                      {Memory: &spec.Memory{Limit: of(int64(2 << 20)), Swap: of(int64(1 << 20))}},
		"blockIO.throttleReadBpsDevice[0]": {BlockIO: &spec.BlockIO{ThrottleReadBps: []spec.ThrottleDevice{{Major: 4000, Minor: 1, Rate: 1}}}},
		"blockIO.weight":                   {BlockIO: &spec.BlockIO{Weight: of(uint16(9))}},
		"unified.memory/high":              {Unified: []spec.KeyValue{{Key: "memory/high", Value: "1"}}},
		"unified...":                       {Unified: []spec.KeyValue{{Key: "..", Value: "1"}}},
		"unified.cgroup.procs":             {Unified: []spec.KeyValue{{Key: "cgroup.procs", Value: "1"}}},
		"unified.nosuch.max":               {Unified: []spec.KeyValue{{Key: "nosuch.max", Value: "1"}}},
	} {
		g := resolve(t, "box")
		err := g.Create(&r)
		var refused *spec.Error
		if !errors.As(err, &refused) {
			t.Errorf("%s: became %v", pointer, err)
			continue
		}
		t.Log(err)
		lost := strings.HasPrefix(pointer, "hugepageLimits") || strings.HasPrefix(pointer, "blockIO")
		if refused.Pointer != "linux.resources."+pointer && !lost {
			t.Errorf("%s: pointer is %s", pointer, refused.Pointer)
		}
		if exists(g.Dirs[0].Path) {
			t.Errorf("%s: a failed create left the cgroup", pointer)
		}
	}
}

// TestMemoryUpdate goes up and down, through limits that the present ones
// would not allow.
func TestMemoryUpdate(t *testing.T) {
	g := resolve(t, "box")
	if !has(g, "memory") {
		t.Skip("no memory controller")
	}
	if err := g.Create(nil); err != nil {
		t.Fatal(err)
	}
	for _, mb := range []int64{64, 256, 32, -1, 16} {
		m := &spec.Memory{Limit: of(mb << 20), Swap: of(2 * mb << 20)}
		if mb < 0 {
			m = &spec.Memory{Limit: of(mb)}
		}
		if err := g.Update(&spec.Resources{Memory: m}); err != nil {
			if strings.Contains(err.Error(), "swap") && strings.Contains(err.Error(), "no such file") {
				t.Skip(err)
			}
			t.Errorf("%d MiB: %v", mb, err)
		}
	}
	cmd := start(t, g, "ready", "sleep")
	err := g.Update(&spec.Resources{Memory: &spec.Memory{Limit: of(int64(4096)), CheckBeforeUpdate: of(true)}})
	if !isRefused(err) {
		t.Errorf("a limit below the usage was accepted: %v", err)
	}
	cmd.Process.Kill()
}
