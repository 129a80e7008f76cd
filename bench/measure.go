package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// measurement is one thing to measure.
type measurement struct {
	name    string
	measure func(*field, string) ([]result, error)
}

var measurements = []measurement{
	{"run /bin/true", func(b *field, name string) ([]result, error) { return b.alternate(name, runTrue(bundleTrue)) }},
	{"run /bin/true with Docker's seccomp profile", func(b *field, name string) ([]result, error) {
		return b.alternate(name, runTrue(bundleSeccomp))
	}},
	{"exec /bin/true", (*field).exec},
	{"create + start + delete", func(b *field, name string) ([]result, error) { return b.alternate(name, lifeCycle) }},
	{"100 containers by 8 workers", (*field).hundred},
	{"memory of a created container", (*field).waiting},
	{"smallest memory limit", (*field).limit},
}

// result is one runtime's figures for one measurement.
type result struct {
	Measurement string  `json:"measurement"`
	Runtime     string  `json:"runtime"`
	Unit        string  `json:"unit"` // ms or kB
	P10         float64 `json:"p10"`
	Median      float64 `json:"median"`
	CPU         float64 `json:"cpu,omitempty"` // ms, median, user and system
	Faults      float64 `json:"faults,omitempty"`
	Ratio       float64 `json:"ratio"`              // ostia's p10 by this one's
	CPURatio    float64 `json:"cpuRatio,omitempty"` // the same of the CPU's p10
}

// alternate runs one operation of each runtime in turn.
func (b *field) alternate(name string, operation func(*field, *program) (cost, error)) ([]result, error) {
	costs := make([][]cost, len(b.runtimes))
	for round := range b.runs + 3 {
		for i := range b.runtimes {
			c, err := operation(b, &b.runtimes[i])
			if err != nil {
				return nil, err
			}
			if round >= 3 { // the first rounds warm up
				costs[i] = append(costs[i], c)
			}
		}
	}
	return b.results(name, costs), nil
}

func (b *field) results(name string, costs [][]cost) []result {
	var list []result
	var ostia, ostiaCPU float64
	for i, p := range b.runtimes {
		wall, cpu, faults := sorted(costs[i], func(c cost) float64 { return ms(c.wall) }),
			sorted(costs[i], func(c cost) float64 { return ms(c.cpu) }), sorted(costs[i], func(c cost) float64 { return float64(c.faults) })
		if i == 0 {
			ostia, ostiaCPU = at(wall, 10), at(cpu, 10)
		}
		r := result{Measurement: name, Runtime: p.Name, Unit: "ms", P10: at(wall, 10), Median: at(wall, 50),
			CPU: at(cpu, 50), Faults: at(faults, 50), Ratio: ostia / at(wall, 10)}
		if c := at(cpu, 10); c > 0 {
			r.CPURatio = ostiaCPU / c
		}
		list = append(list, r)
	}
	return list
}

func ms(d time.Duration) float64 { return float64(d) / 1e6 }

func sorted(costs []cost, of func(cost) float64) []float64 {
	list := make([]float64, len(costs))
	for i, c := range costs {
		list[i] = of(c)
	}
	slices.Sort(list)
	return list
}

func at(sorted []float64, percent int) float64 { return sorted[len(sorted)*percent/100] }

func runTrue(bundle string) func(*field, *program) (cost, error) {
	return func(b *field, p *program) (cost, error) {
		return b.run(p, "run", "--bundle", b.bundle(bundle), b.id())
	}
}

func lifeCycle(b *field, p *program) (cost, error) {
	id, total := b.id(), cost{}
	for _, args := range [][]string{
		{"create", "--bundle", b.bundle(bundleTrue), id}, {"start", id}, {"delete", "--force", id},
	} {
		c, err := b.run(p, args...)
		if err != nil {
			return cost{}, err
		}
		total.wall, total.cpu, total.faults = total.wall+c.wall, total.cpu+c.cpu, total.faults+c.faults
	}
	return total, nil
}

// exec measures in a container that each runtime keeps running.
func (b *field) exec(name string) ([]result, error) {
	ids := make(map[string]string)
	for i := range b.runtimes {
		p := &b.runtimes[i]
		ids[p.Name] = b.id()
		if _, err := b.run(p, "run", "--detach", "--bundle", b.bundle(bundleSleep), ids[p.Name]); err != nil {
			return nil, err
		}
		defer b.run(p, "delete", "--force", ids[p.Name])
	}
	return b.alternate(name, func(b *field, p *program) (cost, error) { return b.run(p, "exec", ids[p.Name], "/bin/true") })
}

// hundred runs 100 containers by 8 workers, a few times in turn.
func (b *field) hundred(name string) ([]result, error) {
	rounds := max(3, b.runs/20)
	costs := make([][]cost, len(b.runtimes))
	for range rounds {
		for i := range b.runtimes {
			c, err := b.many(&b.runtimes[i])
			if err != nil {
				return nil, err
			}
			costs[i] = append(costs[i], c)
		}
	}
	return b.results(name, costs), nil
}

func (b *field) many(p *program) (cost, error) {
	work := make(chan string, 100)
	for range 100 {
		work <- b.id()
	}
	close(work)
	var all sync.WaitGroup
	var lock sync.Mutex
	var total cost
	var failed error
	start := time.Now()
	for range 8 {
		all.Go(func() {
			for id := range work {
				c, err := b.run(p, "run", "--bundle", b.bundle(bundleTrue), id)
				lock.Lock()
				total.cpu, total.faults = total.cpu+c.cpu, total.faults+c.faults
				if err != nil {
					failed = err
				}
				lock.Unlock()
			}
		})
	}
	all.Wait()
	total.wall = time.Since(start)
	return total, failed
}

// waiting is the proportional set size of the process that waits for start.
func (b *field) waiting(name string) ([]result, error) {
	var list []result
	for i := range b.runtimes {
		p := &b.runtimes[i]
		id := b.id()
		if _, err := b.run(p, "create", "--bundle", b.bundle(bundleSleep), "--pid-file", b.dir+"/pid", id); err != nil {
			return nil, err
		}
		pid, err := os.ReadFile(b.dir + "/pid")
		if err == nil {
			var kb float64
			kb, err = pss(strings.TrimSpace(string(pid)))
			list = append(list, result{Measurement: name, Runtime: p.Name, Unit: "kB", P10: kb, Median: kb, Ratio: list0(list, kb) / kb})
		}
		if _, e := b.run(p, "delete", "--force", id); err == nil {
			err = e
		}
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// limit is the smallest memory limit in which /bin/true runs three times in a
// row, to 16 KiB. The limit of cgroup v2 counts the runtime's child from its
// clone on.
func (b *field) limit(name string) ([]result, error) {
	controllers, err := os.ReadFile("/sys/fs/cgroup/cgroup.controllers")
	if err != nil {
		return nil, err
	}
	if !slices.Contains(strings.Fields(string(controllers)), "memory") {
		fmt.Fprintf(os.Stderr, "bench: %s: left out: cgroup v2 has no memory controller here\n", name)
		return nil, nil
	}
	var list []result
	for i := range b.runtimes {
		p := &b.runtimes[i]
		const step, most = 16, 4096 // times 16 KiB
		units := sort.Search(most, func(units int) bool { return b.runsWithin(p, int64(units)*step<<10) })
		if units == most {
			return nil, fmt.Errorf("%s does not run in %d MiB", p.Name, most*step>>10)
		}
		kb := float64(units * step)
		list = append(list, result{Measurement: name, Runtime: p.Name, Unit: "kB", P10: kb, Median: kb, Ratio: list0(list, kb) / kb})
	}
	return list, nil
}

func (b *field) runsWithin(p *program, limit int64) bool {
	if err := b.edit(bundleTrue, func(c map[string]any) {
		c["linux"].(map[string]any)["resources"] = map[string]any{"memory": map[string]any{"limit": limit}}
	}); err != nil {
		return false
	}
	for range 3 {
		id := b.id()
		if _, err := b.run(p, "run", "--bundle", b.bundle(bundleTrue), id); err != nil {
			_, _ = b.run(p, "delete", "--force", id) // what it has left, if anything
			return false
		}
	}
	return true
}

func list0(list []result, own float64) float64 {
	if len(list) == 0 {
		return own
	}
	return list[0].P10
}

func pss(pid string) (float64, error) {
	f, err := os.Open("/proc/" + pid + "/smaps_rollup")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if kb, ok := strings.CutPrefix(s.Text(), "Pss:"); ok {
			return strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(kb, "kB")), 64)
		}
	}
	return 0, fmt.Errorf("no Pss in smaps_rollup of %s", pid)
}
