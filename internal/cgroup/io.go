package cgroup

import (
	"strconv"

	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// setIO applies linux.resources.blockIO. A weight of 0 is not given; a rate of
// 0 is no limit.
func (t *tree) setIO(r *spec.Resources) error {
	b := r.BlockIO
	if b == nil {
		return nil
	}
	if err := t.setWeights(b); err != nil {
		return err
	}
	for _, l := range [...]struct {
		name, v1, v2 string
		devices      []spec.ThrottleDevice
	}{
		{"throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps=", b.ThrottleReadBps},
		{"throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps=", b.ThrottleWriteBps},
		{"throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops=", b.ThrottleReadIOPS},
		{"throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops=", b.ThrottleWriteIOPS},
	} {
		for i := range l.devices {
			d := &l.devices[i]
			pointer := "linux.resources.blockIO." + l.name + "[" + strconv.Itoa(i) + "]"
			device, rate := number(d.Major, d.Minor)+" ", strconv.FormatUint(d.Rate, 10)
			var err error
			if !t.group.V2 {
				err = t.set(pointer, "blkio", l.v1, device+rate)
			} else {
				if d.Rate == 0 {
					rate = "max"
				}
				err = t.set(pointer, "io", "io.max", device+l.v2+rate)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tree) setWeights(b *spec.BlockIO) error {
	if w := b.Weight; w != nil && *w != 0 {
		if err := t.setWeight("weight", "", *w, "blkio.weight", "blkio.bfq.weight"); err != nil {
			return err
		}
	}
	if w := b.LeafWeight; w != nil && *w != 0 {
		if err := t.setLeafWeight("leafWeight", "", *w, "blkio.leaf_weight"); err != nil {
			return err
		}
	}
	for i := range b.WeightDevices {
		d := &b.WeightDevices[i]
		pointer, device := "weightDevice["+strconv.Itoa(i)+"]", number(d.Major, d.Minor)+" "
		if w := d.Weight; w != nil && *w != 0 {
			if err := t.setWeight(pointer+".weight", device, *w, "blkio.weight_device", "blkio.bfq.weight_device"); err != nil {
				return err
			}
		}
		if w := d.LeafWeight; w != nil && *w != 0 {
			if err := t.setLeafWeight(pointer+".leafWeight", device, *w, "blkio.leaf_weight_device"); err != nil {
				return err
			}
		}
	}
	return nil
}

// setWeight writes a weight of all devices or of one. The CFQ scheduler's
// files are gone since Linux 5.0; BFQ has its own; on version 2 io.weight is
// that of io.cost, on another scale.
func (t *tree) setWeight(name, device string, weight uint16, cfq, bfq string) error {
	if weight < 10 || weight > 1000 {
		return refuse("blockIO."+name, strconv.Itoa(int(weight))+" is not between 10 and 1000")
	}
	pointer, value := "linux.resources.blockIO."+name, device+strconv.Itoa(int(weight))
	if !t.group.V2 {
		if e, err := t.setOr(pointer, "blkio", cfq, value, unix.ENOENT); e == 0 || err != nil {
			return err
		}
		return t.set(pointer, "blkio", bfq, value)
	}
	// An io.bfq.weight may exist before Linux 5.4, or for devices with another
	// scheduler: it then does not take a device.
	e, err := t.setOr(pointer, "io", "io.bfq.weight", value, unix.ENOENT, unix.EOPNOTSUPP)
	if e == 0 || err != nil {
		return err
	}
	return t.set(pointer, "io", "io.weight", device+strconv.FormatUint(IOWeight(weight), 10))
}

// IOWeight maps 10-1000 to the 1-10000 of io.weight, linearly, as runc and
// crun do.
func IOWeight(weight uint16) uint64 { return 1 + (max(uint64(weight), 10)-10)*9999/990 }

func (t *tree) setLeafWeight(name, device string, weight uint16, file string) error {
	if t.group.V2 {
		return refuse("blockIO."+name, "cgroup v2 has no leaf weight: leave it out")
	}
	return t.set("linux.resources.blockIO."+name, "blkio", file, device+strconv.Itoa(int(weight)))
}

func number(major, minor int64) string {
	return strconv.FormatInt(major, 10) + ":" + strconv.FormatInt(minor, 10)
}
