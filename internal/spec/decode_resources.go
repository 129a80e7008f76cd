package spec

import (
	"slices"
	"strconv"
	"strings"

	"ostia/internal/json"
)

func decodeResources(d *json.Decoder) *Resources {
	if d.Null() {
		return nil
	}
	r := new(Resources)
	d.Object(func(key string) {
		switch key {
		case "devices":
			d.Array(func(int) { r.Devices = append(r.Devices, decodeDeviceRule(d)) })
		case "memory":
			r.Memory = decodeMemory(d)
		case "cpu":
			r.CPU = decodeCPU(d)
		case "pids":
			r.Pids = decodePids(d)
		case "blockIO":
			r.BlockIO = decodeBlockIO(d)
		case "hugepageLimits":
			d.Array(func(int) { r.HugepageLimits = append(r.HugepageLimits, decodeHugepage(d)) })
		case "network":
			r.Network = decodeNetwork(d)
		case "rdma":
			d.Object(func(device string) { r.Rdma = append(r.Rdma, decodeRdma(d, device)) })
			slices.SortFunc(r.Rdma, func(a, b Rdma) int { return strings.Compare(a.Device, b.Device) })
		case "unified":
			r.Unified = decodePairs(d)
		default:
			d.Skip()
		}
	})
	return r
}

func decodeDeviceRule(d *json.Decoder) DeviceRule {
	r := DeviceRule{Type: 'a', Major: -1, Minor: -1}
	d.Object(func(key string) {
		switch key {
		case "allow":
			r.Allow = d.Bool()
		case "type":
			switch t := d.String(); t {
			case "", "a":
				r.Type = 'a'
			case "c", "b":
				r.Type = t[0]
			default:
				d.Refuse("unknown type \"" + t + "\": use a, c or b")
			}
		case "major":
			if n := i64(d); n != nil {
				r.Major = *n
			}
		case "minor":
			if n := i64(d); n != nil {
				r.Minor = *n
			}
		case "access":
			for _, c := range d.String() {
				switch c {
				case 'r':
					r.Access |= AccessRead
				case 'w':
					r.Access |= AccessWrite
				case 'm':
					r.Access |= AccessMknod
				} // runc passes over what else is there
			}
		default:
			d.Skip()
		}
	})
	return r
}

func decodeMemory(d *json.Decoder) *Memory {
	if d.Null() {
		return nil
	}
	m := new(Memory)
	d.Object(func(key string) {
		switch key {
		case "limit":
			m.Limit = bytes(d)
		case "reservation":
			m.Reservation = bytes(d)
		case "swap":
			m.Swap = bytes(d)
		case "kernel":
			m.Kernel = bytes(d)
		case "kernelTCP":
			m.KernelTCP = bytes(d)
		case "swappiness":
			m.Swappiness = u64(d)
		case "disableOOMKiller":
			m.DisableOOMKiller = boolean(d)
		case "useHierarchy":
			m.UseHierarchy = boolean(d)
		case "checkBeforeUpdate":
			m.CheckBeforeUpdate = boolean(d)
		default:
			d.Skip()
		}
	})
	return m
}

// bytes is an amount of memory; -1 is as much as there is.
func bytes(d *json.Decoder) *int64 {
	n := i64(d)
	if n != nil && *n < -1 && d.Err() == nil {
		d.Refuse(strconv.FormatInt(*n, 10) + " is no amount of memory: use a number of bytes, or -1 for no limit")
	}
	return n
}

func decodeCPU(d *json.Decoder) *CPU {
	if d.Null() {
		return nil
	}
	c := new(CPU)
	d.Object(func(key string) {
		switch key {
		case "shares":
			c.Shares = u64(d)
		case "quota":
			c.Quota = i64(d)
		case "burst":
			c.Burst = u64(d)
		case "period":
			c.Period = u64(d)
		case "realtimeRuntime":
			c.RealtimeRuntime = i64(d)
		case "realtimePeriod":
			c.RealtimePeriod = u64(d)
		case "cpus":
			c.Cpus = d.String()
		case "mems":
			c.Mems = d.String()
		case "idle":
			c.Idle = i64(d)
		default:
			d.Skip()
		}
	})
	return c
}

func decodePids(d *json.Decoder) *Pids {
	if d.Null() {
		return nil
	}
	p := new(Pids)
	d.Object(func(key string) {
		if key == "limit" {
			p.Limit = i64(d)
		} else {
			d.Skip()
		}
	})
	return p
}

func decodeBlockIO(d *json.Decoder) *BlockIO {
	if d.Null() {
		return nil
	}
	b := new(BlockIO)
	d.Object(func(key string) {
		switch key {
		case "weight":
			b.Weight = u16(d)
		case "leafWeight":
			b.LeafWeight = u16(d)
		case "weightDevice":
			d.Array(func(int) { b.WeightDevices = append(b.WeightDevices, decodeWeightDevice(d)) })
		case "throttleReadBpsDevice":
			b.ThrottleReadBps = decodeThrottle(d)
		case "throttleWriteBpsDevice":
			b.ThrottleWriteBps = decodeThrottle(d)
		case "throttleReadIOPSDevice":
			b.ThrottleReadIOPS = decodeThrottle(d)
		case "throttleWriteIOPSDevice":
			b.ThrottleWriteIOPS = decodeThrottle(d)
		default:
			d.Skip()
		}
	})
	return b
}

func decodeWeightDevice(d *json.Decoder) (w WeightDevice) {
	d.Object(func(key string) {
		switch key {
		case "major":
			w.Major = d.Int(64)
		case "minor":
			w.Minor = d.Int(64)
		case "weight":
			w.Weight = u16(d)
		case "leafWeight":
			w.LeafWeight = u16(d)
		default:
			d.Skip()
		}
	})
	return w
}

func decodeThrottle(d *json.Decoder) (list []ThrottleDevice) {
	d.Array(func(int) {
		var t ThrottleDevice
		d.Object(func(key string) {
			switch key {
			case "major":
				t.Major = d.Int(64)
			case "minor":
				t.Minor = d.Int(64)
			case "rate":
				t.Rate = d.Uint(64)
			default:
				d.Skip()
			}
		})
		list = append(list, t)
	})
	return list
}

func decodeHugepage(d *json.Decoder) (h HugepageLimit) {
	d.Object(func(key string) {
		switch key {
		case "pageSize":
			h.PageSize = d.String()
		case "limit":
			h.Limit = d.Uint(64)
		default:
			d.Skip()
		}
	})
	return h
}

func decodeNetwork(d *json.Decoder) *Network {
	if d.Null() {
		return nil
	}
	n := new(Network)
	d.Object(func(key string) {
		switch key {
		case "classID":
			n.ClassID = u32(d)
		case "priorities":
			d.Array(func(int) {
				var p InterfacePriority
				d.Object(func(key string) {
					switch key {
					case "name":
						p.Name = d.String()
					case "priority":
						p.Priority = uint32(d.Uint(32))
					default:
						d.Skip()
					}
				})
				n.Priorities = append(n.Priorities, p)
			})
		default:
			d.Skip()
		}
	})
	return n
}

func decodeRdma(d *json.Decoder, device string) Rdma {
	r := Rdma{Device: device}
	d.Object(func(key string) {
		switch key {
		case "hcaHandles":
			r.HcaHandles = u32(d)
		case "hcaObjects":
			r.HcaObjects = u32(d)
		default:
			d.Skip()
		}
	})
	return r
}
