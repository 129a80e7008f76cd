package cgroup

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"ostia/internal/spec"
)

func of[T any](v T) *T { return &v }

func keep() error { return nil }

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
					if !isRefused(err) || !strings.Contains(err.Error(), "controller `"+f.controller+"`") && !strings.Contains(err.Error(), "controller "+f.controller) {
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
			if err := g.Update(&c.resources, keep); err != nil {
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
		if err := g.Update(&spec.Resources{Memory: m}, keep); err != nil {
			if strings.Contains(err.Error(), "swap") && strings.Contains(err.Error(), "no such file") {
				t.Skip(err)
			}
			t.Errorf("%d MiB: %v", mb, err)
		}
	}
	cmd := start(t, g, "ready", "sleep")
	err := g.Update(&spec.Resources{Memory: &spec.Memory{Limit: of(int64(4096)), CheckBeforeUpdate: of(true)}}, keep)
	if !isRefused(err) {
		t.Errorf("a limit below the usage was accepted: %v", err)
	}
	cmd.Process.Kill()
}

// TestUpdateTakesBack states that an update which is refused halfway, or whose
// commit fails, changes nothing.
func TestUpdateTakesBack(t *testing.T) {
	g := resolve(t, "box")
	if !has(g, "memory") || !has(g, "cpu") || !has(g, "pids") {
		t.Skip("no memory, cpu or pids controller")
	}
	err := g.Create(&spec.Resources{
		Memory: &spec.Memory{Limit: of(int64(64 << 20))}, Pids: &spec.Pids{Limit: of(int64(42))},
		CPU: &spec.CPU{Quota: of(int64(50000)), Period: of(uint64(100000)), Shares: of(uint64(2048))},
	})
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"memory.limit_in_bytes": "memory", "memory.soft_limit_in_bytes": "memory", "pids.max": "pids",
		"cpu.cfs_quota_us": "cpu", "cpu.cfs_period_us": "cpu", "cpu.shares": "cpu", "memory.oom_control": "memory"}
	if g.V2 {
		files = map[string]string{"memory.max": "memory", "memory.low": "memory", "pids.max": "pids", "cpu.max": "cpu", "cpu.weight": "cpu"}
	}
	read := func() string {
		all := ""
		for file, controller := range files {
			all += file + "=" + value(t, g, controller, file) + "\n"
		}
		return all
	}
	lines := func(s string) []string { l := strings.Split(s, "\n"); slices.Sort(l); return l }
	before := read()
	change := &spec.Resources{
		Memory: &spec.Memory{Limit: of(int64(128 << 20)), Reservation: of(int64(32 << 20))}, Pids: &spec.Pids{Limit: of(int64(7))},
		CPU: &spec.CPU{Quota: of(int64(70000)), Period: of(uint64(200000)), Shares: of(uint64(512))},
	}
	if !g.V2 {
		change.Memory.DisableOOMKiller = of(true)
	}
	full := errors.New("disk full")
	if err := g.Update(change, func() error { return full }); err != full {
		t.Errorf("update: %v", err)
	}
	if after := read(); !slices.Equal(lines(after), lines(before)) {
		t.Errorf("after a failed commit:\n%swas:\n%s", after, before)
	}
	change.CPU.Quota = of(int64(1)) // the kernel's least is 1000
	if err := g.Update(change, keep); !isRefused(err) {
		t.Errorf("a quota of 1: %v", err)
	}
	if after := read(); !slices.Equal(lines(after), lines(before)) {
		t.Errorf("after a refusal:\n%swas:\n%s", after, before)
	}
}

// TestBefore holds the undoing of files with a line for each device.
func TestBefore(t *testing.T) {
	for _, c := range []struct{ file, value, text, want string }{
		{"io.max", "8:16 rbps=1", "8:0 rbps=5 wbps=max riops=max wiops=max\n8:16 rbps=7 wbps=max riops=max wiops=max\n", "8:16 rbps=7 wbps=max riops=max wiops=max"},
		{"io.max", "8:1 rbps=1", "8:16 rbps=7 wbps=max riops=max wiops=max\n", "8:1 rbps=max wbps=max riops=max wiops=max"},
		{"io.weight", "200", "default 100\n8:0 300\n", "default 100"},
		{"io.weight", "8:0 200", "default 100\n8:0 300\n", "8:0 300"},
		{"io.weight", "8:16 200", "default 100\n8:0 300\n", "8:16 default"},
		{"blkio.throttle.read_bps_device", "8:0 5", "", "8:0 0"},
		{"cpu.max", "max 100000", "5000 20000\n", "5000 20000"},
		{"rdma.max", "mlx5 hca_handle=1", "mlx4 hca_handle=2 hca_object=max\n", "mlx5 hca_handle=max hca_object=max"},
		{"net_prio.ifpriomap", "eth0 5", "lo 0\neth0 3\n", "eth0 3"},
		{"memory.oom_control", "1", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n", "0"},
	} {
		if got := before(c.file, c.value, c.text); got != c.want {
			t.Errorf("%s, %q: %q, want %q", c.file, c.value, got, c.want)
		}
	}
}
