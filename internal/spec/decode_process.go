package spec

import (
	"slices"

	"ostia/internal/json"
)

func decodeProcess(d *json.Decoder) *Process {
	if d.Null() {
		return nil
	}
	p := new(Process)
	d.Object(func(key string) {
		switch key {
		case "terminal":
			p.Terminal = d.Bool()
		case "consoleSize":
			p.ConsoleSize = decodeBox(d)
		case "user":
			decodeUser(d, &p.User)
		case "args":
			p.Args = d.Strings()
		case "env":
			p.Env = d.Strings()
		case "cwd":
			p.Cwd = d.String()
		case "capabilities":
			p.Capabilities = decodeCapabilities(d)
		case "rlimits":
			d.Array(func(int) { p.Rlimits = append(p.Rlimits, decodeRlimit(d)) })
		case "noNewPrivileges":
			p.NoNewPrivileges = d.Bool()
		case "apparmorProfile":
			p.ApparmorProfile = d.String()
		case "selinuxLabel":
			p.SelinuxLabel = d.String()
		case "oomScoreAdj":
			p.OOMScoreAdj = integer(d)
		case "scheduler":
			p.Scheduler = decodeScheduler(d)
		case "ioPriority":
			p.IOPriority = decodeIOPriority(d)
		case "execCPUAffinity":
			p.ExecCPUAffinity = decodeAffinity(d)
		default:
			d.Skip()
		}
	})
	return p
}

func decodeBox(d *json.Decoder) *Box {
	if d.Null() {
		return nil
	}
	b := new(Box)
	d.Object(func(key string) {
		switch key {
		case "height":
			b.Height = uint16(d.Uint(16))
		case "width":
			b.Width = uint16(d.Uint(16))
		default:
			d.Skip()
		}
	})
	return b
}

func decodeUser(d *json.Decoder, u *User) {
	d.Object(func(key string) {
		switch key {
		case "uid":
			u.UID = uint32(d.Uint(32))
		case "gid":
			u.GID = uint32(d.Uint(32))
		case "umask":
			u.Umask = u32(d)
		case "additionalGids":
			d.Array(func(int) { u.AdditionalGids = append(u.AdditionalGids, uint32(d.Uint(32))) })
		default:
			d.Skip()
		}
	})
}

func decodeCapabilities(d *json.Decoder) *Capabilities {
	if d.Null() {
		return nil
	}
	c := new(Capabilities)
	d.Object(func(key string) {
		var set *uint64
		switch key {
		case "bounding":
			set = &c.Bounding
		case "effective":
			set = &c.Effective
		case "inheritable":
			set = &c.Inheritable
		case "permitted":
			set = &c.Permitted
		case "ambient":
			set = &c.Ambient
		default:
			d.Skip()
			return
		}
		*set = 0
		d.Array(func(int) {
			name := d.String()
			if bit, ok := CapabilityBit(name); ok {
				*set |= 1 << bit
			} else if !slices.Contains(c.Unknown, name) {
				c.Unknown = append(c.Unknown, name)
			}
		})
	})
	return c
}

func decodeRlimit(d *json.Decoder) (r Rlimit) {
	r.Type = -1
	d.Object(func(key string) {
		switch key {
		case "type":
			name := d.String()
			n, ok := RlimitByName(name)
			if !ok && d.Err() == nil {
				d.Refuse("unknown limit \"" + name + "\": use a name of getrlimit(2), like RLIMIT_NOFILE")
			}
			r.Type = n
		case "soft":
			r.Soft = d.Uint(64)
		case "hard":
			r.Hard = d.Uint(64)
		default:
			d.Skip()
		}
	})
	return r
}

func decodeScheduler(d *json.Decoder) *Scheduler {
	if d.Null() {
		return nil
	}
	s := new(Scheduler)
	d.Object(func(key string) {
		switch key {
		case "policy":
			name := d.String()
			policy, ok := schedulerPolicy(name)
			if !ok && d.Err() == nil {
				d.Refuse("unknown policy \"" + name + "\": use a name of sched(7), like SCHED_BATCH")
			}
			s.Policy = policy
		case "nice":
			s.Nice = int32(d.Int(32))
		case "priority":
			s.Priority = int32(d.Int(32))
		case "flags":
			d.Array(func(int) {
				name := d.String()
				flag, ok := schedulerFlag(name)
				if !ok && d.Err() == nil {
					d.Refuse("unknown flag \"" + name + "\": use a name of sched_setattr(2), like SCHED_FLAG_RESET_ON_FORK")
				}
				s.Flags |= flag
			})
		case "runtime":
			s.Runtime, s.RuntimeGiven = d.Uint(64), true
		case "deadline":
			s.Deadline = d.Uint(64)
		case "period":
			s.Period = d.Uint(64)
		default:
			d.Skip()
		}
	})
	return s
}

func decodeIOPriority(d *json.Decoder) *IOPriority {
	if d.Null() {
		return nil
	}
	p := new(IOPriority)
	d.Object(func(key string) {
		switch key {
		case "class":
			name := d.String()
			class, ok := ioClass(name)
			if !ok && d.Err() == nil {
				d.Refuse("unknown class \"" + name + "\": use IOPRIO_CLASS_RT, IOPRIO_CLASS_BE or IOPRIO_CLASS_IDLE")
			}
			p.Class = class
		case "priority":
			p.Priority = int(d.Int(32))
		default:
			d.Skip()
		}
	})
	return p
}

func decodeAffinity(d *json.Decoder) *CPUAffinity {
	if d.Null() {
		return nil
	}
	a := new(CPUAffinity)
	d.Object(func(key string) {
		switch key {
		case "initial":
			a.Initial = d.String()
		case "final":
			a.Final = d.String()
		default:
			d.Skip()
		}
	})
	return a
}
