package resctrl

import (
	"slices"
	"strconv"
	"strings"

	"ostia/internal/file"

	"golang.org/x/sys/unix"
)

// Stats is what the kernel says of a group, as runc tells it.
type Stats struct {
	L3        *L3Info // nil without cache allocation
	Bandwidth *BandwidthInfo
	Schemata  []string
	// The lines of the root and of the group.
	L3Root, L3Group, BandwidthRoot, BandwidthGroup string
	Traffic                                        []Traffic // by domain; nil without monitoring
	Occupancy                                      []uint64  // of the L3 cache in bytes, by domain
}

// L3Info is info/L3.
type L3Info struct {
	Mask          string
	MinBits, Clos uint64
}

// BandwidthInfo is info/MB.
type BandwidthInfo struct{ Granularity, Linear, Min, Clos uint64 }

// Traffic is memory traffic in bytes.
type Traffic struct{ Total, Local uint64 }

// Stats reads the group's statistics; those of the monitoring group where the
// container has one.
func (g *Group) Stats() (*Stats, error) {
	group, err := file.Read(g.dir + "/schemata")
	if err != nil {
		return nil, g.refused("linux.intelRdt", "read "+g.dir+"/schemata", err)
	}
	root, err := file.Read(g.root + "/schemata")
	if err != nil {
		return nil, g.refused("linux.intelRdt", "read "+g.root+"/schemata", err)
	}
	s := &Stats{Schemata: strings.Split(strings.TrimSuffix(group, "\n"), "\n")}
	info := g.root + "/info/"
	if mask, err := file.Read(info + "L3/cbm_mask"); err == nil {
		s.L3 = &L3Info{Mask: strings.TrimSpace(mask), MinBits: count(info + "L3/min_cbm_bits"), Clos: count(info + "L3/num_closids")}
		s.L3Root, s.L3Group = lineOf(root, "L3"), lineOf(group, "L3")
	}
	if _, err := file.Read(info + "MB/num_closids"); err == nil {
		s.Bandwidth = &BandwidthInfo{count(info + "MB/bandwidth_gran"), count(info + "MB/delay_linear"), count(info + "MB/min_bandwidth"), count(info + "MB/num_closids")}
		s.BandwidthRoot, s.BandwidthGroup = lineOf(root, "MB"), lineOf(group, "MB")
	}
	features, err := file.Read(info + "L3_MON/mon_features")
	if err != nil {
		return s, nil
	}
	from := g.dir
	if g.monitor != "" {
		from = g.monitor
	}
	for _, domain := range domains(from + "/mon_data") {
		data := from + "/mon_data/" + domain + "/"
		if strings.Contains(features, "mbm_") {
			s.Traffic = append(s.Traffic, Traffic{count(data + "mbm_total_bytes"), count(data + "mbm_local_bytes")})
		}
		if strings.Contains(features, "llc_occupancy") {
			s.Occupancy = append(s.Occupancy, count(data+"llc_occupancy"))
		}
	}
	return s, nil
}

// lineOf is the line of a schemata file for a resource.
func lineOf(text, resource string) string {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, resource+":") {
			return line
		}
	}
	return ""
}

// count is the number in a file, 0 when there is none: "Unavailable" is one
// that the hardware cannot tell now.
func count(path string) uint64 {
	text, err := file.Read(path)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
	return n
}

// domains are the names of the L3 domains with counters, sorted.
func domains(dir string) (names []string) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	buf := make([]byte, 8192)
	for {
		n, err := unix.ReadDirent(fd, buf)
		if err != nil || n <= 0 {
			break
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, "mon_L3_") })
	slices.Sort(names)
	return names
}
