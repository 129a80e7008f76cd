package spec

import (
	"strconv"
	"strings"

	"ostia/internal/json"
)

// IntelRdt is linux.intelRdt: the resource control group (resctrl) of the
// container. A nil field was not given.
type IntelRdt struct {
	ClosID        *string  // name of a group that is not the container's own
	L3CacheSchema string   // line of schemata
	MemBwSchema   string   // line of schemata
	Schemata      []string // lines of schemata
	Monitoring    bool     // a monitoring group for the container
}

func decodeIntelRdt(d *json.Decoder) *IntelRdt {
	if d.Null() {
		return nil
	}
	r := new(IntelRdt)
	d.Object(func(key string) {
		switch key {
		case "closID":
			r.ClosID = pointer(d, d.String)
		case "l3CacheSchema":
			r.L3CacheSchema = d.String()
		case "memBwSchema":
			r.MemBwSchema = d.String()
		case "schemata":
			r.Schemata = d.Strings()
		case "enableMonitoring", "enableCMT", "enableMBM": // the latter two until runtime-spec 1.2
			r.Monitoring = d.Bool() || r.Monitoring
		default:
			d.Skip()
		}
	})
	return r
}

func (p *problems) intelRdt(s *Spec) {
	r := s.Linux.IntelRdt
	if r == nil {
		return
	}
	if id := r.ClosID; id != nil && *id != "/" && (*id == "" || *id == "." || *id == ".." || strings.ContainsAny(*id, "/\n\x00")) {
		p.refuse("linux.intelRdt.closID", strconv.Quote(*id)+" cannot be the name of a group below /sys/fs/resctrl")
	}
	for _, l := range [...]struct{ name, line, prefix string }{{"l3CacheSchema", r.L3CacheSchema, ""}, {"memBwSchema", r.MemBwSchema, "MB:"}} {
		if strings.IndexByte(l.line, '\n') >= 0 || l.line != "" && !strings.HasPrefix(l.line, l.prefix) {
			p.refuse("linux.intelRdt."+l.name, strconv.Quote(l.line)+" is not one line like \"L3:0=ff\" or \"MB:0=50\"")
		}
	}
	for i, line := range r.Schemata {
		if strings.IndexByte(line, '\n') >= 0 {
			p.refuse(at("linux.intelRdt.schemata", i), "is more than one line: write each by itself")
		}
	}
}
