package spec

import (
	"math/bits"
	"strconv"

	"ostia/internal/json"

	"golang.org/x/sys/unix"
)

// number is a constant by its name in the specification.
type number struct {
	name  string
	value int
}

var memoryPolicyModes = [...]number{
	{"MPOL_DEFAULT", unix.MPOL_DEFAULT}, {"MPOL_BIND", unix.MPOL_BIND}, {"MPOL_INTERLEAVE", unix.MPOL_INTERLEAVE},
	{"MPOL_WEIGHTED_INTERLEAVE", unix.MPOL_WEIGHTED_INTERLEAVE}, {"MPOL_PREFERRED", unix.MPOL_PREFERRED},
	{"MPOL_PREFERRED_MANY", unix.MPOL_PREFERRED_MANY}, {"MPOL_LOCAL", unix.MPOL_LOCAL},
}

var memoryPolicyFlags = [...]number{
	{"MPOL_F_NUMA_BALANCING", unix.MPOL_F_NUMA_BALANCING}, {"MPOL_F_RELATIVE_NODES", unix.MPOL_F_RELATIVE_NODES},
	{"MPOL_F_STATIC_NODES", unix.MPOL_F_STATIC_NODES},
}

// MemoryPolicyNames are the modes and the flags that linux.memoryPolicy may
// have.
func MemoryPolicyNames() (modes, flags []string) {
	for _, m := range memoryPolicyModes {
		modes = append(modes, m.name)
	}
	for _, f := range memoryPolicyFlags {
		flags = append(flags, f.name)
	}
	return modes, flags
}

func decodeMemoryPolicy(d *json.Decoder) *MemoryPolicy {
	if d.Null() {
		return nil
	}
	p, mode := new(MemoryPolicy), false
	d.Object(func(key string) {
		switch key {
		case "mode":
			mode = true
			p.Mode |= named(d, memoryPolicyModes[:], "mode: use MPOL_DEFAULT, MPOL_BIND, MPOL_INTERLEAVE and the like")
		case "nodes":
			var err error
			if p.Nodes, err = ParseCPUList(d.String()); err != nil {
				d.Refuse("invalid memory policy nodes: not a list of memory nodes like \"0-3,7\", each below 1024")
			}
		case "flags":
			d.Array(func(int) {
				p.Mode |= named(d, memoryPolicyFlags[:], "flag: use MPOL_F_NUMA_BALANCING, MPOL_F_RELATIVE_NODES or MPOL_F_STATIC_NODES")
			})
		default:
			d.Skip()
		}
	})
	count := 0
	for _, word := range p.Nodes {
		count += bits.OnesCount64(word)
	}
	if kind := p.Mode &^ (unix.MPOL_F_NUMA_BALANCING | unix.MPOL_F_RELATIVE_NODES | unix.MPOL_F_STATIC_NODES); mode && count > 0 &&
		(kind == unix.MPOL_DEFAULT || kind == unix.MPOL_LOCAL) {
		d.Refuse("memory policy mode requires 0 nodes but got " + strconv.Itoa(count) + ": leave nodes out")
	}
	if !mode {
		d.Refuse("invalid memory policy mode: it is missing: use MPOL_DEFAULT, MPOL_BIND, MPOL_INTERLEAVE and the like")
	}
	return p
}

// named reads the name of a constant.
func named(d *json.Decoder, list []number, what string) int {
	name := d.String()
	for _, n := range list {
		if n.name == name {
			return n.value
		}
	}
	if d.Err() == nil {
		d.Refuse("invalid memory policy " + what)
	}
	return 0
}
