package cgroup

import (
	"strconv"
	"strings"

	"ostia/internal/spec"
)

func (s *Stats) readCPUV1(c *counters) {
	stat := c.pairs("cpu.stat")
	s.CPU.Periods, s.CPU.ThrottledPeriods, s.CPU.ThrottledNanos = valueOf(stat, "nr_periods"), valueOf(stat, "nr_throttled"), valueOf(stat, "throttled_time")
}

func (s *Stats) readUsageV1(c *counters) {
	// In ticks of USER_HZ, which is 100 on every architecture that ostia has.
	const tick = 1e9 / 100
	stat := c.pairs("cpuacct.stat")
	s.CPU.User, s.CPU.Kernel = tick*valueOf(stat, "user"), tick*valueOf(stat, "system")
	s.CPU.Total = c.number("cpuacct.usage")
	for n := range strings.FieldsSeq(c.text("cpuacct.usage_percpu")) {
		s.CPU.PerCPU = append(s.CPU.PerCPU, number64(n))
	}
	for line := range strings.Lines(c.text("cpuacct.usage_all")) {
		// cpu user system
		if f := strings.Fields(line); len(f) >= 3 && f[0] != "cpu" {
			s.CPU.PerCPUUser = append(s.CPU.PerCPUUser, number64(f[1]))
			s.CPU.PerCPUKernel = append(s.CPU.PerCPUKernel, number64(f[2]))
		}
	}
}

func (s *Stats) readCPUSetV1(c *counters) {
	file := func(name string) string { return c.cpusetFile(name) }
	set := &s.CPUSet
	set.CPUs, set.Mems = numbers(c.text(file("cpus"))), numbers(c.text(file("mems")))
	for name, to := range map[string]*uint64{
		"cpu_exclusive": &set.CPUExclusive, "mem_hardwall": &set.MemHardwall, "mem_exclusive": &set.MemExclusive,
		"memory_migrate": &set.MemoryMigrate, "memory_spread_page": &set.SpreadPage, "memory_spread_slab": &set.SpreadSlab,
		"memory_pressure": &set.MemoryPressure, "sched_load_balance": &set.SchedLoadBalance,
	} {
		*to = c.number(file(name))
	}
	set.SchedRelaxDomainLevel, _ = strconv.ParseInt(strings.TrimSpace(c.text(file("sched_relax_domain_level"))), 10, 64)
}

// numbers are those of a list like "0-3,7".
func numbers(list string) (all []uint16) {
	set, err := spec.ParseCPUList(strings.TrimSpace(list))
	if err != nil {
		return nil
	}
	for n := range 64 * len(set) {
		if set[n/64]>>(n%64)&1 != 0 {
			all = append(all, uint16(n))
		}
	}
	return all
}

func (s *Stats) readMemoryV1(c *counters) {
	m := &s.Memory
	m.Raw = sorted(c.pairs("memory.stat"))
	m.Cache = valueOf(m.Raw, "cache")
	m.Usage, m.Swap = c.memory(""), c.memory(".memsw")
	m.Kernel, m.KernelTCP = c.memory(".kmem"), c.memory(".kmem.tcp")
}

func (c *counters) memory(kind string) MemoryUsage {
	return MemoryUsage{
		Usage: c.number("memory" + kind + ".usage_in_bytes"), Max: c.number("memory" + kind + ".max_usage_in_bytes"),
		Limit: c.number("memory" + kind + ".limit_in_bytes"), Failures: c.number("memory" + kind + ".failcnt"),
	}
}

// readIOV1 takes each table from the first file that has one: those of the BFQ
// scheduler, then those of the throttling layer, which counts for every device.
func (s *Stats) readIOV1(c *counters) {
	io := &s.IO
	for _, t := range [...]struct {
		name  string
		table *[]IOCounter
	}{
		{"sectors", &io.Sectors}, {"io_service_time", &io.ServiceTime}, {"io_wait_time", &io.WaitTime}, {"io_merged", &io.Merged},
		{"io_queued", &io.Queued}, {"time", &io.Time}, {"io_serviced", &io.Operations}, {"io_service_bytes", &io.Bytes},
	} {
		for _, file := range [...]string{"blkio.bfq." + t.name + "_recursive", "blkio.throttle." + t.name + "_recursive", "blkio.throttle." + t.name} {
			if *t.table = ioTable(c.text(file)); *t.table != nil {
				break
			}
		}
	}
}

// ioTable reads a file of the blkio controller:
//
//	8:0 Read 90430464
//	8:0 Total 90430464
//	Total 90430464
func ioTable(text string) (table []IOCounter) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] == "Total" {
			continue
		}
		major, minor, ok := strings.Cut(f[0], ":")
		if !ok {
			continue
		}
		entry := IOCounter{Major: number64(major), Minor: number64(minor), Value: number64(f[len(f)-1])}
		if len(f) > 2 {
			entry.Op = f[1]
		}
		table = append(table, entry)
	}
	return table
}
