package spec

import "ostia/internal/json"

func decodeLinux(d *json.Decoder, l *Linux) {
	d.Object(func(key string) {
		switch key {
		case "namespaces":
			l.Namespaces = make([]Namespace, 0, 8)
			d.Array(func(int) { l.Namespaces = append(l.Namespaces, decodeNamespace(d)) })
		case "uidMappings":
			l.UIDMappings = decodeMappings(d)
		case "gidMappings":
			l.GIDMappings = decodeMappings(d)
		case "timeOffsets":
			decodeTimeOffsets(d, l)
		case "devices":
			d.Array(func(int) { l.Devices = append(l.Devices, decodeDevice(d)) })
		case "cgroupsPath":
			l.CgroupsPath = d.String()
		case "resources":
			l.Resources = decodeResources(d)
		case "rootfsPropagation":
			l.RootfsPropagation = d.String()
		case "seccomp":
			l.Seccomp = decodeSeccomp(d)
		case "sysctl":
			l.Sysctl = decodePairs(d)
		case "maskedPaths":
			l.MaskedPaths = d.Strings()
		case "readonlyPaths":
			l.ReadonlyPaths = d.Strings()
		case "mountLabel":
			l.MountLabel = d.String()
		case "personality":
			l.Personality = decodePersonality(d)
		case "netDevices":
			l.NetDevices = decodeNetDevices(d)
		case "memoryPolicy":
			l.MemoryPolicy = decodeMemoryPolicy(d)
		case "intelRdt":
			l.IntelRdt = decodeIntelRdt(d)
		default:
			d.Skip()
		}
	})
}

func decodeNamespace(d *json.Decoder) (n Namespace) {
	d.Object(func(key string) {
		switch key {
		case "type":
			n.Type = d.String()
			flag, ok := NamespaceFlag(n.Type)
			if !ok && d.Err() == nil {
				d.Refuse("unknown kind \"" + n.Type + "\": use pid, network, mount, ipc, uts, user, cgroup or time")
			}
			n.Flag = flag
		case "path":
			n.Path = d.String()
		default:
			d.Skip()
		}
	})
	return n
}

func decodeTimeOffsets(d *json.Decoder, l *Linux) {
	d.Object(func(clock string) {
		o := TimeOffset{Clock: clock}
		d.Object(func(key string) {
			switch key {
			case "secs":
				o.Secs = d.Int(64)
			case "nanosecs":
				o.Nanosecs = uint32(d.Uint(32))
			default:
				d.Skip()
			}
		})
		l.TimeOffsets = append(l.TimeOffsets, o)
	})
}

func decodeDevice(d *json.Decoder) Device {
	v := Device{Major: noNumber, Minor: noNumber}
	d.Object(func(key string) {
		switch key {
		case "path":
			v.Path = d.String()
		case "type":
			switch t := d.String(); t {
			case "c", "u":
				v.Type = 'c'
			case "b", "p":
				v.Type = t[0]
			default:
				d.Refuse("unknown type \"" + t + "\": use c, b, u or p")
			}
		case "major":
			v.Major = d.Int(64)
		case "minor":
			v.Minor = d.Int(64)
		case "fileMode":
			v.FileMode = u32(d)
		case "uid":
			v.UID = u32(d)
		case "gid":
			v.GID = u32(d)
		default:
			d.Skip()
		}
	})
	return v
}

func decodePersonality(d *json.Decoder) *Personality {
	if d.Null() {
		return nil
	}
	p := new(Personality)
	d.Object(func(key string) {
		switch key {
		case "domain":
			switch name := d.String(); name {
			case "LINUX":
				p.Domain = 0
			case "LINUX32":
				p.Domain = 8
			default:
				d.Refuse("unknown domain \"" + name + "\": use LINUX or LINUX32")
			}
		case "flags":
			// The specification defines none.
			if flags := d.Strings(); len(flags) > 0 {
				d.Refuse("flags are not supported by the specification's runtimes: remove them")
			}
		default:
			d.Skip()
		}
	})
	return p
}

func decodeSeccomp(d *json.Decoder) *Seccomp {
	if d.Null() {
		return nil
	}
	s := new(Seccomp)
	d.Object(func(key string) {
		switch key {
		case "defaultAction":
			s.DefaultAction = d.String()
		case "defaultErrnoRet":
			s.DefaultErrnoRet = u32(d)
		case "architectures":
			s.Architectures = d.Strings()
		case "flags":
			s.Flags = d.Strings()
		case "listenerPath":
			s.ListenerPath = d.String()
		case "listenerMetadata":
			s.ListenerMetadata = d.String()
		case "syscalls":
			d.Array(func(int) { s.Syscalls = append(s.Syscalls, decodeSeccompRule(d)) })
		default:
			d.Skip()
		}
	})
	return s
}

func decodeSeccompRule(d *json.Decoder) (r SeccompRule) {
	d.Object(func(key string) {
		switch key {
		case "names":
			r.Names = d.Strings()
		case "action":
			r.Action = d.String()
		case "errnoRet":
			r.ErrnoRet = u32(d)
		case "args":
			d.Array(func(int) {
				var a SeccompArg
				d.Object(func(key string) {
					switch key {
					case "index":
						a.Index = uint32(d.Uint(32))
					case "value":
						a.Value = d.Uint(64)
					case "valueTwo":
						a.ValueTwo = d.Uint(64)
					case "op":
						a.Op = d.String()
					default:
						d.Skip()
					}
				})
				r.Args = append(r.Args, a)
			})
		default:
			d.Skip()
		}
	})
	return r
}
