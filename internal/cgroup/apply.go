package cgroup

import (
	"errors"
	"strconv"
	"strings"

	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// apply writes all limits except the device rules.
func (t *tree) apply(r *spec.Resources) error {
	for _, set := range [...]func(*tree, *spec.Resources) error{
		(*tree).setCpuset, (*tree).setPids, (*tree).setMemory, (*tree).setIO, (*tree).setCPU,
		(*tree).setHugepages, (*tree).setRdma, (*tree).setNetwork, (*tree).setUnified,
	} {
		if err := set(t, r); err != nil {
			return err
		}
	}
	return nil
}

// refuse is the error for what this version of cgroups does not have.
func refuse(pointer, reason string) error {
	return &spec.Error{Pointer: "linux.resources." + pointer, Err: errors.New(reason)}
}

func (t *tree) setPids(r *spec.Resources) error {
	if r.Pids == nil || r.Pids.Limit == nil {
		return nil
	}
	value := "max"
	if n := *r.Pids.Limit; n > 0 {
		value = strconv.FormatInt(n, 10)
	} else if n == 0 {
		// The container's first process is one already, and with 0 it could
		// not even be born in the cgroup. runc writes 1 too.
		value = "1"
	}
	return t.set("linux.resources.pids.limit", "pids", "pids.max", value)
}

func (t *tree) setHugepages(r *spec.Resources) error {
	file := ".limit_in_bytes"
	if t.group.V2 {
		file = ".max"
	}
	for i := range r.HugepageLimits {
		h := &r.HugepageLimits[i]
		pointer := "linux.resources.hugepageLimits[" + strconv.Itoa(i) + "]"
		if strings.IndexByte(h.PageSize, '/') >= 0 {
			return &spec.Error{Pointer: pointer + ".pageSize", Err: errors.New(strconv.Quote(h.PageSize) + " is not a page size")}
		}
		value := strconv.FormatUint(h.Limit, 10)
		e, err := t.setOr(pointer, "hugetlb", "hugetlb."+h.PageSize+file, value, unix.ENOENT)
		if err != nil {
			return err
		}
		if e != 0 {
			if t.group.V2 && !contains(t.leaves[0].folder, "cgroup.controllers", "hugetlb") {
				return &spec.Error{Pointer: pointer, Err: t.unavailable("hugetlb")}
			}
			return &spec.Error{Pointer: pointer + ".pageSize", Err: errors.New("this host has no huge pages of " + strconv.Quote(h.PageSize) +
				": the sizes are in /sys/kernel/mm/hugepages, written as 2MB or 1GB")}
		}
		// Reservations are counted apart since Linux 5.7.
		if _, err := t.setOr(pointer, "hugetlb", "hugetlb."+h.PageSize+".rsvd"+file, value, unix.ENOENT); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) setRdma(r *spec.Resources) error {
	for i := range r.Rdma {
		d := &r.Rdma[i]
		value := d.Device
		for _, l := range [...]struct {
			name  string
			limit *uint32
		}{{" hca_handle=", d.HcaHandles}, {" hca_object=", d.HcaObjects}} {
			if l.limit == nil {
				value += l.name + "max"
			} else {
				value += l.name + strconv.FormatUint(uint64(*l.limit), 10)
			}
		}
		if err := t.set("linux.resources.rdma."+d.Device, "rdma", "rdma.max", value); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) setNetwork(r *spec.Resources) error {
	n := r.Network
	if n == nil {
		return nil
	}
	if n.ClassID != nil && *n.ClassID != 0 {
		if t.group.V2 {
			return refuse("network.classID", "cgroup v2 has no network controller: leave it out, and match the cgroup with nftables or tc")
		}
		if err := t.set("linux.resources.network.classID", "net_cls", "net_cls.classid", strconv.FormatUint(uint64(*n.ClassID), 10)); err != nil {
			return err
		}
	}
	for i := range n.Priorities {
		pointer := "network.priorities[" + strconv.Itoa(i) + "]"
		if t.group.V2 {
			return refuse(pointer, "cgroup v2 has no network controller: leave it out, and match the cgroup with nftables or tc")
		}
		p := &n.Priorities[i]
		if err := t.set("linux.resources."+pointer, "net_prio", "net_prio.ifpriomap", p.Name+" "+strconv.FormatUint(uint64(p.Priority), 10)); err != nil {
			return err
		}
	}
	return nil
}

// setUnified writes cgroup files by their names, in the order of the
// configuration, each line by itself.
func (t *tree) setUnified(r *spec.Resources) error {
	for i := range r.Unified {
		file, value := r.Unified[i].Key, r.Unified[i].Value
		pointer := "linux.resources.unified." + file
		controller, _, ok := strings.Cut(file, ".")
		switch {
		case !t.group.V2:
			return &spec.Error{Pointer: pointer, Err: errors.New("invalid configuration: this host has cgroup v1, unified is for cgroup v2")}
		case !ok || controller == "" || strings.IndexByte(file, '/') >= 0 || strings.IndexByte(file, 0) >= 0:
			return &spec.Error{Pointer: pointer, Err: errors.New("the specified key has not the form CONTROLLER.VALUE `" + file + "`")}
		case file == "cgroup.procs" || file == "cgroup.threads" || file == "cgroup.kill":
			return &spec.Error{Pointer: pointer, Err: errors.New("is not a limit: leave it out")}
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(value, "\n"), "\n") {
			if err := t.set(pointer, controller, file, line); err != nil {
				return err
			}
		}
	}
	return nil
}
