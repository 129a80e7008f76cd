package cli

import (
	"strconv"
	"time"

	"ostia/internal/cgroup"
	"ostia/internal/container"
	"ostia/internal/json"
	"ostia/internal/resctrl"
)

var eventsCommand = command{
	name:     "events",
	synopsis: "[flags] CONTAINER",
	summary:  "print a container's statistics and when it runs out of memory",
	description: "events prints a line of JSON for each event, in the form of runc's: {\"type\":\"stats\",...} after every interval, " +
		"{\"type\":\"oom\",...} when the container's memory is used up, which in a virtual machine is seen at the end of an interval. It ends when the container ends.",
	flags: []flag{
		{name: "stats", kind: boolean, help: "print the statistics once, now"},
		{name: "interval", kind: text, value: "DURATION", help: "time between statistics: 500ms, 5s (default), 2m"},
	},
	min: 1, max: 1,
	run: events,
}

func events(in *invocation) (int, error) {
	interval := 5 * time.Second
	if v := in.text("interval"); v != "" {
		var err error
		if interval, err = time.ParseDuration(v); err != nil || interval <= 0 {
			return 0, usageError("events: --interval " + v + ": not a time above 0, like 500ms, 5s or 2m")
		}
	}
	r, err := newRuntime(in)
	if err != nil {
		return 0, err
	}
	id := in.args[0]
	if in.is("stats") {
		e, err := r.Stats(id)
		if err != nil {
			return 0, err
		}
		return 0, print(eventText(id, &e))
	}
	return 0, r.Events(id, interval, func(e container.Event) error { return print(eventText(id, &e)) })
}

// eventText is one line of events. Without statistics it is an OOM.
//
// The members and which of them are left out when they are 0 are those of
// runc's types.Event, which go-runc and others decode.
func eventText(id string, event *container.Event) string {
	e, s := json.NewEncoder(""), event.Stats
	e.Object(func() {
		if s == nil {
			e.Key("type").String("oom")
			e.Key("id").String(id)
			return
		}
		e.Key("type").String("stats")
		e.Key("id").String(id)
		e.Key("data").Object(func() {
			w := statsWriter{e}
			e.Key("cpu").Object(func() { w.cpu(&s.CPU) })
			e.Key("cpuset").Object(func() { w.cpuset(&s.CPUSet) })
			e.Key("memory").Object(func() { w.memory(&s.Memory) })
			e.Key("pids").Object(func() {
				w.some("current", s.Pids.Current)
				w.some("limit", s.Pids.Limit)
			})
			e.Key("blkio").Object(func() { w.io(&s.IO) })
			e.Key("hugetlb").Object(func() { w.hugepages(s.Hugepages) })
			e.Key("intel_rdt").Object(func() { w.resctrl(event.Resctrl) })
			e.Key("network_interfaces").Null()
		})
	})
	return string(e.Bytes()) + "\n"
}

type statsWriter struct{ *json.Encoder }

func (w statsWriter) number(name string, n uint64) { w.Key(name).Uint(n) }

// some leaves out a 0.
func (w statsWriter) some(name string, n uint64) {
	if n != 0 {
		w.number(name, n)
	}
}

func (w statsWriter) numbers(name string, list []uint64) {
	if len(list) > 0 {
		w.Key(name).Array(func() {
			for _, n := range list {
				w.Uint(n)
			}
		})
	}
}

func (w statsWriter) cpu(c *cgroup.CPUStats) {
	if c.Total != 0 || c.Kernel != 0 || c.User != 0 || c.PerCPU != nil {
		w.Key("usage").Object(func() {
			w.some("total", c.Total)
			w.numbers("percpu", c.PerCPU)
			w.numbers("percpu_kernel", c.PerCPUKernel)
			w.numbers("percpu_user", c.PerCPUUser)
			w.number("kernel", c.Kernel)
			w.number("user", c.User)
		})
	}
	if c.Periods != 0 || c.ThrottledPeriods != 0 || c.ThrottledNanos != 0 {
		w.Key("throttling").Object(func() {
			w.some("periods", c.Periods)
			w.some("throttledPeriods", c.ThrottledPeriods)
			w.some("throttledTime", c.ThrottledNanos)
		})
	}
	w.pressure(c.Pressure)
}

func (w statsWriter) cpuset(s *cgroup.CPUSetStats) {
	list := func(name string, numbers []uint16) {
		wide := make([]uint64, len(numbers))
		for i, n := range numbers {
			wide[i] = uint64(n)
		}
		w.numbers(name, wide)
	}
	list("cpus", s.CPUs)
	w.number("cpu_exclusive", s.CPUExclusive)
	list("mems", s.Mems)
	w.number("mem_hardwall", s.MemHardwall)
	w.number("mem_exclusive", s.MemExclusive)
	w.number("memory_migrate", s.MemoryMigrate)
	w.number("memory_spread_page", s.SpreadPage)
	w.number("memory_spread_slab", s.SpreadSlab)
	w.number("memory_pressure", s.MemoryPressure)
	w.number("sched_load_balance", s.SchedLoadBalance)
	w.Key("sched_relax_domain_level").Int(s.SchedRelaxDomainLevel)
}

func (w statsWriter) memory(m *cgroup.MemoryStats) {
	w.some("cache", m.Cache)
	for _, u := range [...]struct {
		name string
		of   cgroup.MemoryUsage
	}{{"usage", m.Usage}, {"swap", m.Swap}, {"kernel", m.Kernel}, {"kernelTCP", m.KernelTCP}} {
		if u.of == (cgroup.MemoryUsage{}) {
			continue
		}
		w.Key(u.name).Object(func() {
			w.number("limit", u.of.Limit)
			w.some("usage", u.of.Usage)
			w.some("max", u.of.Max)
			w.number("failcnt", u.of.Failures)
		})
	}
	if len(m.Raw) > 0 {
		w.Key("raw").Object(func() {
			for _, c := range m.Raw {
				w.number(c.Name, c.Value)
			}
		})
	}
	w.pressure(m.Pressure)
}

func (w statsWriter) io(s *cgroup.IOStats) {
	for _, t := range [...]struct {
		name  string
		table []cgroup.IOCounter
	}{
		{"ioServiceBytesRecursive", s.Bytes}, {"ioServicedRecursive", s.Operations}, {"ioQueueRecursive", s.Queued},
		{"ioServiceTimeRecursive", s.ServiceTime}, {"ioWaitTimeRecursive", s.WaitTime}, {"ioMergedRecursive", s.Merged},
		{"ioTimeRecursive", s.Time}, {"sectorsRecursive", s.Sectors},
	} {
		if len(t.table) == 0 {
			continue
		}
		w.Key(t.name).Array(func() {
			for _, c := range t.table {
				w.Object(func() {
					w.some("major", c.Major)
					w.some("minor", c.Minor)
					if c.Op != "" {
						w.Key("op").String(c.Op)
					}
					w.some("value", c.Value)
				})
			}
		})
	}
	w.pressure(s.Pressure)
}

func (w statsWriter) resctrl(s *resctrl.Stats) {
	if s == nil {
		return
	}
	line := func(name, text string) {
		if text != "" {
			w.Key(name).String(text)
		}
	}
	if i := s.L3; i != nil {
		w.Key("l3_cache_info").Object(func() {
			line("cbm_mask", i.Mask)
			w.some("min_cbm_bits", i.MinBits)
			w.some("num_closids", i.Clos)
		})
	}
	line("l3_cache_schema_root", s.L3Root)
	line("l3_cache_schema", s.L3Group)
	if i := s.Bandwidth; i != nil {
		w.Key("mem_bw_info").Object(func() {
			w.some("bandwidth_gran", i.Granularity)
			w.some("delay_linear", i.Linear)
			w.some("min_bandwidth", i.Min)
			w.some("num_closids", i.Clos)
		})
	}
	line("mem_bw_schema_root", s.BandwidthRoot)
	line("mem_bw_schema", s.BandwidthGroup)
	if len(s.Schemata) > 0 {
		w.Key("schemata").Strings(s.Schemata)
	}
	if s.Traffic != nil {
		w.Key("mbm_stats").Array(func() {
			for _, t := range s.Traffic {
				w.Object(func() {
					w.number("mbm_total_bytes", t.Total)
					w.number("mbm_local_bytes", t.Local)
				})
			}
		})
	}
	if s.Occupancy != nil {
		w.Key("cmt_stats").Array(func() {
			for _, n := range s.Occupancy {
				w.Object(func() { w.number("llc_occupancy", n) })
			}
		})
	}
}

func (w statsWriter) hugepages(list []cgroup.HugepageStats) {
	for _, h := range list {
		w.Key(h.Size).Object(func() {
			w.some("usage", h.Usage)
			w.some("max", h.Max)
			w.number("failcnt", h.Failures)
		})
	}
}

func (w statsWriter) pressure(p *cgroup.Pressure) {
	if p == nil {
		return
	}
	w.Key("psi").Object(func() {
		for _, s := range [...]struct {
			name  string
			stall cgroup.Stall
		}{{"some", p.Some}, {"full", p.Full}} {
			if s.stall == (cgroup.Stall{}) {
				continue
			}
			w.Key(s.name).Object(func() {
				for _, avg := range [...]struct {
					name  string
					share float64
				}{{"avg10", s.stall.Avg10}, {"avg60", s.stall.Avg60}, {"avg300", s.stall.Avg300}} {
					w.Key(avg.name).Raw(strconv.FormatFloat(avg.share, 'f', -1, 64))
				}
				w.number("total", s.stall.Total)
			})
		}
	})
}
