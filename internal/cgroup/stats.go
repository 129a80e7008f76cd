package cgroup

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Stats is what the kernel has counted for a cgroup. The numbers are those of
// runc's statistics: times in nanoseconds, sizes in bytes, and version 2 in
// terms of version 1, which is what the engines show. What a kernel or a host
// does not count is 0.
type Stats struct {
	CPU       CPUStats
	CPUSet    CPUSetStats
	Memory    MemoryStats
	Pids      PidsStats
	IO        IOStats
	Hugepages []HugepageStats // by page size
}

// CPUStats is the CPU time used and, with a quota, withheld.
type CPUStats struct {
	Total, Kernel, User                       uint64
	PerCPU, PerCPUKernel, PerCPUUser          []uint64 // version 1
	Periods, ThrottledPeriods, ThrottledNanos uint64
	Pressure                                  *Pressure
}

// CPUSetStats are the files of the version 1 cpuset controller.
type CPUSetStats struct {
	CPUs, Mems                                               []uint16
	CPUExclusive, MemHardwall, MemExclusive, MemoryMigrate   uint64
	SpreadPage, SpreadSlab, MemoryPressure, SchedLoadBalance uint64
	SchedRelaxDomainLevel                                    int64
}

// MemoryStats is the memory in use. Swap is memory and swap together.
type MemoryStats struct {
	Cache                          uint64
	Usage, Swap, Kernel, KernelTCP MemoryUsage
	Raw                            []Counter // memory.stat, sorted
	Pressure                       *Pressure
}

// MemoryUsage is one kind of memory; Limit is math.MaxUint64 for none on
// version 2.
type MemoryUsage struct{ Limit, Usage, Max, Failures uint64 }

// Counter is one line of a file of counters.
type Counter struct {
	Name  string
	Value uint64
}

// PidsStats counts processes and threads; Limit is 0 for none.
type PidsStats struct{ Current, Limit uint64 }

// IOStats counts what was done to block devices. Version 2 has bytes and
// operations only.
type IOStats struct {
	Bytes, Operations, Queued, ServiceTime, WaitTime, Merged, Time, Sectors []IOCounter
	Pressure                                                                *Pressure
}

// IOCounter is a counter of one device and operation ("Read", "Write", ...).
type IOCounter struct {
	Major, Minor uint64
	Op           string
	Value        uint64
}

// HugepageStats counts huge pages of one size ("2MB"), in bytes.
type HugepageStats struct {
	Size                 string
	Usage, Max, Failures uint64
}

// Pressure is how long tasks waited for a resource (PSI, version 2): some of
// them, or all.
type Pressure struct{ Some, Full Stall }

// Stall is a share in percent of the last 10, 60 and 300 seconds, and all of
// it in microseconds.
type Stall struct {
	Avg10, Avg60, Avg300 float64
	Total                uint64
}

// Stats reads the cgroup's statistics.
func (g *Group) Stats() (*Stats, error) {
	s := new(Stats)
	sizes := hugepageSizes()
	if g.V2 {
		return s, g.counted("", func(c *counters) { s.readV2(c, sizes) })
	}
	for _, part := range [...]struct {
		controller string
		read       func(*counters)
	}{
		{"cpu", s.readCPUV1}, {"cpuacct", s.readUsageV1}, {"cpuset", s.readCPUSetV1}, {"memory", s.readMemoryV1},
		{"pids", s.readPids}, {"blkio", s.readIOV1},
		{"hugetlb", func(c *counters) { s.readHugepages(c, sizes, hugepagesV1) }},
	} {
		if err := g.counted(part.controller, part.read); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// counted opens the directory of a controller and has it read; a controller
// that is not mounted counts nothing.
func (g *Group) counted(controller string, read func(*counters)) error {
	i := g.find(controller)
	if i < 0 {
		return nil
	}
	f, err := g.Dirs[i].open()
	if err != nil {
		return err
	}
	defer f.close()
	c := counters{folder: f}
	read(&c)
	return c.err
}

// counters reads files of numbers. What is not there is 0; the first other
// error is kept.
type counters struct {
	folder
	err error
}

func (c *counters) text(file string) string {
	text, err := c.read(file)
	// EOPNOTSUPP: pressure is not counted on this kernel, or not in here.
	if err != nil && err != unix.ENOENT && err != unix.EOPNOTSUPP && c.err == nil {
		c.err = &Error{"read", c.path + "/" + file, err}
	}
	return text
}

// number is that of a file with one; "max" is the greatest.
func (c *counters) number(file string) uint64 { return number64(strings.TrimSpace(c.text(file))) }

func (c *counters) has(file string) bool {
	return unix.Faccessat(c.fd, file, unix.F_OK, 0) == nil
}

// pairs are the lines "NAME NUMBER" of a file.
func (c *counters) pairs(file string) []Counter {
	text := c.text(file)
	pairs := make([]Counter, 0, strings.Count(text, "\n"))
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " "); ok {
			pairs = append(pairs, Counter{name, number64(value)})
		}
	}
	return pairs
}

// sorted sorts counters by name.
func sorted(list []Counter) []Counter {
	slices.SortFunc(list, func(a, b Counter) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// valueOf is the counter of that name, or 0.
func valueOf(list []Counter, name string) uint64 {
	for i := range list {
		if list[i].Name == name {
			return list[i].Value
		}
	}
	return 0
}

func number64(text string) uint64 {
	if text == "max" {
		return math.MaxUint64
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return math.MaxUint64
	}
	return n
}

// readPids is the same on both versions; a cgroup without the controller tells
// its processes.
func (s *Stats) readPids(c *counters) {
	if !c.has("pids.current") {
		pids, err := c.processes(nil)
		if err != nil && c.err == nil {
			c.err = err
		}
		s.Pids.Current = uint64(len(pids))
		return
	}
	s.Pids.Current = c.number("pids.current")
	if limit := c.number("pids.max"); limit != math.MaxUint64 {
		s.Pids.Limit = limit
	}
}

// hugepageFiles are the names of a size's files behind "hugetlb.2MB", and the
// one that is there only since Linux 5.7 and counts reservations.
type hugepageFiles struct{ usage, max, failures string }

var hugepagesV1 = hugepageFiles{".usage_in_bytes", ".max_usage_in_bytes", ".failcnt"}

func (s *Stats) readHugepages(c *counters, sizes []string, files hugepageFiles) {
	for _, size := range sizes {
		prefix := "hugetlb." + size + ".rsvd"
		if !c.has(prefix + files.usage) {
			prefix = "hugetlb." + size
		}
		if !c.has(prefix + files.usage) {
			continue
		}
		h := HugepageStats{Size: size, Usage: c.number(prefix + files.usage)}
		if files.failures != "" {
			h.Max, h.Failures = c.number(prefix+files.max), c.number(prefix+files.failures)
		} else {
			h.Failures = valueOf(c.pairs("hugetlb."+size+".events"), "max")
		}
		s.Hugepages = append(s.Hugepages, h)
	}
}

// hugepageSizes are the sizes of huge pages that the host has, as the cgroup
// files name them, sorted.
func hugepageSizes() []string {
	const dir = "/sys/kernel/mm/hugepages"
	fd, err := open(dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	var sizes []string
	_ = folder{fd, dir}.subfolders(func(name string) error {
		kb, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimPrefix(name, "hugepages-"), "kB"), 10, 64)
		switch {
		case err != nil:
		case kb >= 1<<20:
			sizes = append(sizes, strconv.FormatUint(kb>>20, 10)+"GB")
		case kb >= 1<<10:
			sizes = append(sizes, strconv.FormatUint(kb>>10, 10)+"MB")
		default:
			sizes = append(sizes, strconv.FormatUint(kb, 10)+"KB")
		}
		return nil
	})
	slices.Sort(sizes)
	return sizes
}
