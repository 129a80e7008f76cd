package guest

import (
	"encoding/hex"

	"ostia/internal/json"
)

// Machine is what the agent is told by the initramfs: the container, and what
// of the machine it cannot see.
type Machine struct {
	Config   string // config.json for the guest
	Terminal bool
	Rows     uint16
	Columns  uint16
	Links    []Link   // in the order of their devices
	Sysctls  []Sysctl // of the network, which is the guest's own
}

// Tag is that of the virtio-fs device with the container's tree.
const Tag = "ostia"

// Link is a network device. Addresses, Routes and Neighbours are bodies of
// rtnetlink(7) requests; the device's index belongs in those of the first and
// third, and in an RTA_OIF behind those of the second.
type Link struct {
	Name                          string
	MAC                           [6]byte
	MTU                           uint16
	Addresses, Routes, Neighbours [][]byte
}

// Sysctl is a value for a file below /proc/sys.
type Sysctl struct{ Path, Value string }

// Text is the machine as JSON; bytes are hexadecimal.
func (m *Machine) Text() []byte {
	e := json.NewEncoder("")
	e.Object(func() {
		e.Key("config").Raw(m.Config)
		e.Key("terminal").Bool(m.Terminal)
		e.Key("rows").Uint(uint64(m.Rows))
		e.Key("columns").Uint(uint64(m.Columns))
		e.Key("links").Array(func() {
			for i := range m.Links {
				m.Links[i].write(e)
			}
		})
		e.Key("sysctls").Object(func() {
			for _, s := range m.Sysctls {
				e.Key(s.Path).String(s.Value)
			}
		})
	})
	return e.Bytes()
}

func (l *Link) write(e *json.Encoder) {
	e.Object(func() {
		e.Key("name").String(l.Name)
		e.Key("mac").String(hex.EncodeToString(l.MAC[:]))
		e.Key("mtu").Uint(uint64(l.MTU))
		for _, list := range [...]struct {
			name   string
			bodies [][]byte
		}{{"addresses", l.Addresses}, {"routes", l.Routes}, {"neighbours", l.Neighbours}} {
			e.Key(list.name).Array(func() {
				for _, b := range list.bodies {
					e.String(hex.EncodeToString(b))
				}
			})
		}
	})
}

// ParseMachine reads what Text wrote.
func ParseMachine(text string) (m Machine, err error) {
	d := json.NewDecoder(text)
	d.Object(func(key string) {
		switch key {
		case "config":
			m.Config = d.Raw()
		case "terminal":
			m.Terminal = d.Bool()
		case "rows":
			m.Rows = uint16(d.Uint(16))
		case "columns":
			m.Columns = uint16(d.Uint(16))
		case "links":
			d.Array(func(int) { m.Links = append(m.Links, parseLink(d)) })
		case "sysctls":
			d.Object(func(path string) { m.Sysctls = append(m.Sysctls, Sysctl{path, d.String()}) })
		default:
			d.Skip()
		}
	})
	return m, d.End()
}

func parseLink(d *json.Decoder) (l Link) {
	d.Object(func(key string) {
		switch key {
		case "name":
			l.Name = d.String()
		case "mac":
			copy(l.MAC[:], bytesOf(d))
		case "mtu":
			l.MTU = uint16(d.Uint(16))
		case "addresses":
			d.Array(func(int) { l.Addresses = append(l.Addresses, bytesOf(d)) })
		case "routes":
			d.Array(func(int) { l.Routes = append(l.Routes, bytesOf(d)) })
		case "neighbours":
			d.Array(func(int) { l.Neighbours = append(l.Neighbours, bytesOf(d)) })
		default:
			d.Skip()
		}
	})
	return l
}

func bytesOf(d *json.Decoder) []byte {
	b, err := hex.DecodeString(d.String())
	if err != nil {
		d.Refuse(err.Error())
	}
	return b
}
