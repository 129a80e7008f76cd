package spec

import (
	"strings"

	"ostia/internal/json"
)

// Decode reads a config.json. Members that ostia does not act on are checked to
// be JSON and ignored.
func Decode(text string) (*Spec, error) {
	d := newDecoder(text)
	s := decode(d)
	if err := d.End(); err != nil {
		return nil, err
	}
	if err := s.extend().first(); err != nil {
		return nil, err
	}
	return s, nil
}

func decode(d *json.Decoder) *Spec {
	s := new(Spec)
	d.Object(func(key string) {
		switch key {
		case "ociVersion":
			s.Version = d.String()
		case "process":
			s.Process = decodeProcess(d)
		case "root":
			s.Root = decodeRoot(d)
		case "hostname":
			s.Hostname = d.String()
		case "domainname":
			s.Domainname = d.String()
		case "mounts":
			s.Mounts = make([]Mount, 0, 16)
			d.Array(func(int) { s.Mounts = append(s.Mounts, decodeMount(d)) })
		case "hooks":
			decodeHooks(d, &s.Hooks)
		case "annotations":
			s.Annotations = decodeMap(d)
		case "linux":
			decodeLinux(d, &s.Linux)
		default:
			d.Skip()
		}
	})
	return s
}

// newDecoder reads a text of the specification's. Where a name is none of its own
// it may be one in other capitals, which runc's decoder does not tell apart: a
// limit under "CPU" is a limit there.
func newDecoder(text string) *json.Decoder {
	d := json.NewDecoder(text)
	d.Fold(func(key string) string {
		for name := range strings.FieldsSeq(layout) {
			if strings.EqualFold(name, key) {
				return name
			}
		}
		return key
	})
	return d
}

// DecodeProcess reads a process object: the file of exec --process.
func DecodeProcess(text string) (*Process, error) {
	d := newDecoder(text)
	p := decodeProcess(d)
	if err := d.End(); err != nil {
		return nil, err
	}
	if p == nil {
		p = new(Process)
	}
	return p, nil
}

// DecodeMounts reads a list of mounts: the file of mounts add and remove.
func DecodeMounts(text string) ([]Mount, error) {
	d := newDecoder(text)
	var list []Mount
	d.Array(func(int) { list = append(list, decodeMount(d)) })
	return list, d.End()
}

// pointer reads a value into a new variable, nil for null.
func pointer[T any](d *json.Decoder, read func() T) *T {
	if d.Null() {
		return nil
	}
	v := read()
	return &v
}

func u16(d *json.Decoder) *uint16 {
	return pointer(d, func() uint16 { return uint16(d.Uint(16)) })
}
func u32(d *json.Decoder) *uint32 {
	return pointer(d, func() uint32 { return uint32(d.Uint(32)) })
}
func u64(d *json.Decoder) *uint64 { return pointer(d, func() uint64 { return d.Uint(64) }) }
func i64(d *json.Decoder) *int64  { return pointer(d, func() int64 { return d.Int(64) }) }
func integer(d *json.Decoder) *int {
	return pointer(d, func() int { return int(d.Int(64)) })
}
func boolean(d *json.Decoder) *bool { return pointer(d, d.Bool) }

func decodeMap(d *json.Decoder) map[string]string {
	m := make(map[string]string)
	d.Object(func(key string) { m[key] = d.String() })
	return m
}

// decodePairs keeps the order of the file.
func decodePairs(d *json.Decoder) (list []KeyValue) {
	d.Object(func(key string) { list = append(list, KeyValue{key, d.String()}) })
	return list
}

func decodeRoot(d *json.Decoder) *Root {
	if d.Null() {
		return nil
	}
	r := new(Root)
	d.Object(func(key string) {
		switch key {
		case "path":
			r.Path = d.String()
		case "readonly":
			r.Readonly = d.Bool()
		default:
			d.Skip()
		}
	})
	return r
}

func decodeMount(d *json.Decoder) (m Mount) {
	d.Object(func(key string) {
		switch key {
		case "destination":
			m.Destination = d.String()
		case "type":
			m.Type = d.String()
		case "source":
			m.Source = d.String()
		case "options":
			m.Options = d.Strings()
		case "uidMappings":
			m.UIDMappings = decodeMappings(d)
		case "gidMappings":
			m.GIDMappings = decodeMappings(d)
		default:
			d.Skip()
		}
	})
	return m
}

func decodeMappings(d *json.Decoder) (list []IDMapping) {
	d.Array(func(int) {
		var m IDMapping
		d.Object(func(key string) {
			switch key {
			case "containerID":
				m.ContainerID = uint32(d.Uint(32))
			case "hostID":
				m.HostID = uint32(d.Uint(32))
			case "size":
				m.Size = uint32(d.Uint(32))
			default:
				d.Skip()
			}
		})
		list = append(list, m)
	})
	return list
}

func decodeHooks(d *json.Decoder, h *Hooks) {
	d.Object(func(key string) {
		var list *[]Hook
		switch key {
		case "prestart":
			list = &h.Prestart
		case "createRuntime":
			list = &h.CreateRuntime
		case "createContainer":
			list = &h.CreateContainer
		case "startContainer":
			list = &h.StartContainer
		case "poststart":
			list = &h.Poststart
		case "poststop":
			list = &h.Poststop
		default:
			d.Skip()
			return
		}
		d.Array(func(int) { *list = append(*list, decodeHook(d)) })
	})
}

func decodeHook(d *json.Decoder) (h Hook) {
	d.Object(func(key string) {
		switch key {
		case "path":
			h.Path = d.String()
		case "args":
			h.Args = d.Strings()
		case "env":
			h.Env = d.Strings()
		case "timeout":
			h.Timeout = integer(d)
		default:
			d.Skip()
		}
	})
	return h
}
