package cgroup

import (
	"strings"

	"ostia/internal/spec"
)

// Update applies resources to a cgroup that exists, all of them except the
// device rules, and then calls commit. When either fails, what was written is
// taken back: the limits are as they were.
//
// Devices stay as they are, as with runc: kubelet's updates carry the rules of
// the container's creation, and a device plugin may have added its own since.
func (g *Group) Update(r *spec.Resources, commit func() error) error {
	var written []change
	t := tree{group: g, journal: &written}
	defer t.close()
	if err := t.open(); err != nil {
		return err
	}
	err := t.apply(r)
	if err == nil {
		err = commit()
	}
	if err != nil {
		for i := len(written) - 1; i >= 0; i-- {
			// What is refused on the way back has an older value yet to come.
			_ = written[i].in.write(written[i].file, written[i].before)
		}
	}
	return err
}

// change is a file that is about to be written, and what it takes to undo it.
type change struct {
	in           folder
	file, before string
}

func (t *tree) remember(f folder, file, value string) {
	text, err := f.read(file)
	if err != nil {
		return // it cannot be written either, or not be read
	}
	*t.journal = append(*t.journal, change{f, file, before(file, value, text)})
}

// before is what to write so that the file reads as text again once value has
// been written to it.
func before(file, value, text string) string {
	text = strings.TrimSuffix(text, "\n")
	switch {
	case file == "memory.oom_control":
		before, _, _ := strings.Cut(strings.TrimPrefix(text, "oom_kill_disable "), "\n")
		return before
	case file == "io.weight" || file == "io.bfq.weight" || file == "rdma.max" || file == "net_prio.ifpriomap":
	case !strings.Contains(value, ":"):
		return text
	}
	// A line for each device, of which only those with a limit are there.
	key, _, _ := strings.Cut(value, " ")
	if (file == "io.weight" || file == "io.bfq.weight") && key == value {
		key = "default"
	}
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, key+" ") {
			return line
		}
	}
	switch file {
	case "io.max":
		return key + " rbps=max wbps=max riops=max wiops=max"
	case "io.weight", "io.bfq.weight":
		return key + " default"
	case "rdma.max":
		return key + " hca_handle=max hca_object=max"
	}
	return key + " 0"
}
