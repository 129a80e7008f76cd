package cli

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"ostia/internal/cgroup"
	"ostia/internal/container"
	"ostia/internal/resctrl"
)

// event has the members of runc's events (types/events.go there), which go-runc
// and others decode, and omits what it omits.
type event struct {
	Type string      `json:"type"`
	ID   string      `json:"id"`
	Data *eventStats `json:"data,omitempty"`
}

type eventStats struct {
	CPU struct {
		Usage struct {
			Total        uint64   `json:"total,omitempty"`
			PerCPU       []uint64 `json:"percpu,omitempty"`
			PerCPUKernel []uint64 `json:"percpu_kernel,omitempty"`
			PerCPUUser   []uint64 `json:"percpu_user,omitempty"`
			Kernel       uint64   `json:"kernel"`
			User         uint64   `json:"user"`
		} `json:"usage,omitzero"`
		Throttling struct {
			Periods          uint64 `json:"periods,omitempty"`
			ThrottledPeriods uint64 `json:"throttledPeriods,omitempty"`
			ThrottledTime    uint64 `json:"throttledTime,omitempty"`
		} `json:"throttling,omitzero"`
		PSI *eventPressure `json:"psi,omitempty"`
	} `json:"cpu"`
	CPUSet struct {
		CPUs             []uint16 `json:"cpus,omitempty"`
		CPUExclusive     uint64   `json:"cpu_exclusive"`
		Mems             []uint16 `json:"mems,omitempty"`
		MemHardwall      uint64   `json:"mem_hardwall"`
		MemExclusive     uint64   `json:"mem_exclusive"`
		MemoryMigrate    uint64   `json:"memory_migrate"`
		SpreadPage       uint64   `json:"memory_spread_page"`
		SpreadSlab       uint64   `json:"memory_spread_slab"`
		MemoryPressure   uint64   `json:"memory_pressure"`
		SchedLoadBalance uint64   `json:"sched_load_balance"`
		SchedRelax       int64    `json:"sched_relax_domain_level"`
	} `json:"cpuset"`
	Memory struct {
		Cache     uint64            `json:"cache,omitempty"`
		Usage     eventMemory       `json:"usage,omitzero"`
		Swap      eventMemory       `json:"swap,omitzero"`
		Kernel    eventMemory       `json:"kernel,omitzero"`
		KernelTCP eventMemory       `json:"kernelTCP,omitzero"`
		Raw       map[string]uint64 `json:"raw,omitempty"`
		PSI       *eventPressure    `json:"psi,omitempty"`
	} `json:"memory"`
	Pids struct {
		Current uint64 `json:"current,omitempty"`
		Limit   uint64 `json:"limit,omitempty"`
	} `json:"pids"`
	Blkio struct {
		Bytes       []eventIO      `json:"ioServiceBytesRecursive,omitempty"`
		Operations  []eventIO      `json:"ioServicedRecursive,omitempty"`
		Queued      []eventIO      `json:"ioQueueRecursive,omitempty"`
		ServiceTime []eventIO      `json:"ioServiceTimeRecursive,omitempty"`
		WaitTime    []eventIO      `json:"ioWaitTimeRecursive,omitempty"`
		Merged      []eventIO      `json:"ioMergedRecursive,omitempty"`
		Time        []eventIO      `json:"ioTimeRecursive,omitempty"`
		Sectors     []eventIO      `json:"sectorsRecursive,omitempty"`
		PSI         *eventPressure `json:"psi,omitempty"`
	} `json:"blkio"`
	Hugetlb map[string]struct {
		Usage   uint64 `json:"usage,omitempty"`
		Max     uint64 `json:"max,omitempty"`
		Failcnt uint64 `json:"failcnt"`
	} `json:"hugetlb"`
	IntelRdt struct {
		L3 *struct {
			Mask    string `json:"cbm_mask,omitempty"`
			MinBits uint64 `json:"min_cbm_bits,omitempty"`
			Clos    uint64 `json:"num_closids,omitempty"`
		} `json:"l3_cache_info,omitempty"`
		L3Root  string `json:"l3_cache_schema_root,omitempty"`
		L3Group string `json:"l3_cache_schema,omitempty"`
		MB      *struct {
			Gran   uint64 `json:"bandwidth_gran,omitempty"`
			Linear uint64 `json:"delay_linear,omitempty"`
			Min    uint64 `json:"min_bandwidth,omitempty"`
			Clos   uint64 `json:"num_closids,omitempty"`
		} `json:"mem_bw_info,omitempty"`
		MBRoot   string   `json:"mem_bw_schema_root,omitempty"`
		MBGroup  string   `json:"mem_bw_schema,omitempty"`
		Schemata []string `json:"schemata,omitempty"`
		Traffic  *[]struct {
			Total uint64 `json:"mbm_total_bytes"`
			Local uint64 `json:"mbm_local_bytes"`
		} `json:"mbm_stats,omitempty"`
		Occupancy *[]struct {
			Bytes uint64 `json:"llc_occupancy"`
		} `json:"cmt_stats,omitempty"`
	} `json:"intel_rdt"`
	Interfaces []struct{} `json:"network_interfaces"`
}

type eventMemory struct {
	Limit   uint64 `json:"limit"`
	Usage   uint64 `json:"usage,omitempty"`
	Max     uint64 `json:"max,omitempty"`
	Failcnt uint64 `json:"failcnt"`
}

type eventIO struct {
	Major uint64 `json:"major,omitempty"`
	Minor uint64 `json:"minor,omitempty"`
	Op    string `json:"op,omitempty"`
	Value uint64 `json:"value,omitempty"`
}

type eventPressure struct {
	Some eventStall `json:"some,omitzero"`
	Full eventStall `json:"full,omitzero"`
}

type eventStall struct {
	Avg10  float64 `json:"avg10"`
	Avg60  float64 `json:"avg60"`
	Avg300 float64 `json:"avg300"`
	Total  uint64  `json:"total"`
}

// TestEventText: what is printed is byte for byte what runc's types print.
func TestEventText(t *testing.T) {
	full, rdt, n := new(cgroup.Stats), new(resctrl.Stats), 0
	fill(reflect.ValueOf(full).Elem(), &n)
	fill(reflect.ValueOf(rdt).Elem(), &n)
	full.Memory.Usage.Limit = math.MaxUint64
	full.Memory.Raw = []cgroup.Counter{{Name: "anon", Value: 0}, {Name: "file", Value: 7}}
	empty := new(cgroup.Stats)
	empty.CPU.Pressure = &cgroup.Pressure{Some: cgroup.Stall{Avg10: 0.25}}
	for _, e := range []container.Event{{}, {Stats: new(cgroup.Stats), Resctrl: new(resctrl.Stats)}, {Stats: empty}, {Stats: full, Resctrl: rdt}} {
		line := eventText("box", &e)
		var decoded event
		strict(t, line, &decoded)
		var again bytes.Buffer
		if err := json.NewEncoder(&again).Encode(decoded); err != nil {
			t.Fatal(err)
		}
		if again.String() != line {
			t.Errorf("printed\n%srunc's types print\n%s", line, again.String())
		}
	}
	if line := eventText("box", &container.Event{Stats: full, Resctrl: rdt}); strings.Contains(line, "\":0,") && !strings.Contains(line, `"anon":0`) {
		t.Errorf("a field was not filled: %s", line)
	}
}

// fill sets every field to a number of its own.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Uint64, reflect.Uint16:
		v.SetUint(uint64(*n))
	case reflect.Int64:
		v.SetInt(-int64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.25)
	case reflect.String:
		v.SetString(string(rune('A'+*n%26)) + string(rune('a'+*n/26)))
	}
}

func TestEventsRefusals(t *testing.T) {
	for _, v := range []string{"0", "-1s", "5", "never"} {
		in, err := parseCommandLine("ostia", []string{"events", "--interval", v, "c"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.command.run(in); err == nil || !strings.Contains(err.Error(), "--interval "+v) {
			t.Errorf("%s: %v", v, err)
		}
	}
}
