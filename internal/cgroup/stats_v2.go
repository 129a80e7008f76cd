package cgroup

import (
	"math"
	"strconv"
	"strings"
)

func (s *Stats) readV2(c *counters, sizes []string) {
	s.readPids(c)
	s.readMemoryV2(c)
	s.readIOV2(c)
	cpu := c.pairs("cpu.stat")
	const us = 1000
	s.CPU = CPUStats{
		Total: us * valueOf(cpu, "usage_usec"), User: us * valueOf(cpu, "user_usec"), Kernel: us * valueOf(cpu, "system_usec"),
		Periods: valueOf(cpu, "nr_periods"), ThrottledPeriods: valueOf(cpu, "nr_throttled"), ThrottledNanos: us * valueOf(cpu, "throttled_usec"),
		Pressure: pressure(c.text("cpu.pressure")),
	}
	s.readHugepages(c, sizes, hugepageFiles{usage: ".current"})
}

func (s *Stats) readMemoryV2(c *counters) {
	m := &s.Memory
	m.Raw = sorted(c.pairs("memory.stat"))
	m.Cache = valueOf(m.Raw, "file")
	m.Pressure = pressure(c.text("memory.pressure"))
	m.Usage = MemoryUsage{Usage: c.number("memory.current"), Limit: c.number("memory.max"), Max: c.number("memory.peak")}
	// Version 1 counts memory and swap together. Their peaks do not add up.
	m.Swap = MemoryUsage{Usage: c.number("memory.swap.current") + m.Usage.Usage, Limit: c.number("memory.swap.max")}
	if m.Usage.Limit > math.MaxUint64-m.Swap.Limit {
		m.Swap.Limit = math.MaxUint64
	} else {
		m.Swap.Limit += m.Usage.Limit
	}
}

// readIOV2 maps io.stat to the tables of version 1:
//
//	8:0 rbytes=90430464 wbytes=0 rios=6950 wios=0 dbytes=0 dios=0
func (s *Stats) readIOV2(c *counters) {
	s.IO.Pressure = pressure(c.text("io.pressure"))
	for line := range strings.Lines(c.text("io.stat")) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		major, minor, ok := strings.Cut(fields[0], ":")
		if !ok {
			continue
		}
		for _, field := range fields[1:] {
			name, n, _ := strings.Cut(field, "=")
			var table *[]IOCounter
			entry := IOCounter{Major: number64(major), Minor: number64(minor), Op: "Read", Value: number64(n)}
			switch name {
			case "wbytes":
				entry.Op = "Write"
				fallthrough
			case "rbytes":
				table = &s.IO.Bytes
			case "wios":
				entry.Op = "Write"
				fallthrough
			case "rios":
				table = &s.IO.Operations
			default:
				continue
			}
			*table = append(*table, entry)
		}
	}
}

// pressure reads a PSI file; nil is one that is not there.
//
//	some avg10=0.00 avg60=0.00 avg300=0.00 total=0
func pressure(text string) *Pressure {
	if text == "" {
		return nil
	}
	p := new(Pressure)
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		s := &p.Some
		if fields[0] == "full" {
			s = &p.Full
		}
		for _, field := range fields[1:] {
			name, n, _ := strings.Cut(field, "=")
			share, _ := strconv.ParseFloat(n, 64) // the kernel writes numbers; what is none is 0
			switch name {
			case "avg10":
				s.Avg10 = share
			case "avg60":
				s.Avg60 = share
			case "avg300":
				s.Avg300 = share
			case "total":
				s.Total = number64(n)
			}
		}
	}
	return p
}
