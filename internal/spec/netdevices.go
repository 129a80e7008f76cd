package spec

import (
	"slices"
	"strconv"
	"strings"

	"ostia/internal/json"

	"golang.org/x/sys/unix"
)

func decodeNetDevices(d *json.Decoder) (list []NetDevice) {
	d.Object(func(host string) {
		device := NetDevice{Host: host}
		d.Object(func(key string) {
			if key == "name" {
				device.Name = d.String()
			} else {
				d.Skip()
			}
		})
		list = append(list, device)
	})
	slices.SortFunc(list, func(a, b NetDevice) int { return strings.Compare(a.Host, b.Host) })
	return list
}

func (p *problems) netDevices(s *Spec) {
	if has, _ := s.has(unix.CLONE_NEWNET); !has && len(s.Linux.NetDevices) > 0 {
		p.refuse("linux.netDevices", "needs a network namespace: add {\"type\": \"network\"} to linux.namespaces")
	}
	for _, v := range s.Linux.NetDevices {
		pointer := "linux.netDevices." + v.Host
		if !validDevice(v.Host) || strings.IndexByte(v.Host, '%') >= 0 {
			p.refuse("linux.netDevices", strconv.Quote(v.Host)+" is not the name of a network device")
		}
		if v.Name == "" {
			continue
		}
		// The kernel completes one %d, and ostia looks for what begins so.
		if name := strings.TrimSuffix(v.Name, "%d"); !validDevice(v.Name) || name == "" || strings.IndexByte(name, '%') >= 0 {
			p.refuse(pointer+".name", strconv.Quote(v.Name)+" cannot be the name of a network device: use up to 15 letters, digits and the like; %d at the end is a number of the kernel's choice")
		}
	}
}

// validDevice is the kernel's dev_valid_name.
func validDevice(name string) bool {
	return name != "" && len(name) < unix.IFNAMSIZ && name != "." && name != ".." && !strings.ContainsAny(name, "/: \t\n\v\f\r\x00")
}
