package resctrl

import (
	"errors"
	"strconv"
	"strings"

	"ostia/internal/file"
)

// writeSchemata writes lines like "L3:0=7f0;1=1f", each by itself, so that an
// error is about one.
func (g *Group) writeSchemata(lines []string) error {
	for _, line := range lines {
		if err := file.Write(g.dir+"/schemata", line+"\n"); err != nil {
			return g.refused("linux.intelRdt", "write "+strconv.Quote(line)+" to "+g.dir+"/schemata", err)
		}
	}
	return nil
}

// compareSchemata refuses a group that exists and is not as the configuration
// says: somebody else's is in it too.
func (g *Group) compareSchemata() error {
	if len(g.lines) == 0 {
		return nil
	}
	text, err := file.Read(g.dir + "/schemata")
	if err != nil {
		return g.refused("linux.intelRdt", "read "+g.dir+"/schemata", err)
	}
	for _, line := range g.lines {
		if !hasSchema(text, line) {
			return failed("linux.intelRdt", errors.New(g.dir+" exists and its schemata are not "+strconv.Quote(line)+": make them so, or choose another closID"))
		}
	}
	return nil
}

// hasSchema reports whether a schemata file gives each domain of a line its
// value. The kernel pads names and values and sorts the domains.
func hasSchema(text, line string) bool {
	name, domains, ok := strings.Cut(line, ":")
	if !ok {
		return false
	}
	have := schema(text, strings.TrimSpace(name))
	for domain := range strings.SplitSeq(domains, ";") {
		id, value, ok := strings.Cut(domain, "=")
		if !ok || number(id) == "" || have[number(id)] != number(value) {
			return false
		}
	}
	return true
}

// schema is the values of a resource by domain.
func schema(text, resource string) map[string]string {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		name, domains, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok || name != resource {
			continue
		}
		for domain := range strings.SplitSeq(domains, ";") {
			if id, value, ok := strings.Cut(domain, "="); ok {
				values[number(id)] = number(value)
			}
		}
	}
	return values
}

// number is a bit mask or a number without padding, to be compared.
func number(s string) string {
	s = strings.TrimPrefix(strings.ToLower(strings.TrimSpace(s)), "0x")
	if t := strings.TrimLeft(s, "0"); t != "" || s == "" {
		return t
	}
	return "0"
}
