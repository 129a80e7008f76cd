package cli

import (
	"maps"
	"slices"

	"ostia/internal/container"
)

var stateCommand = command{
	name:     "state",
	synopsis: "CONTAINER",
	summary:  "print a container's state",
	description: "state prints the state of the container as the runtime-spec defines it, as JSON, with the members that runc adds: rootfs, created " +
		"and owner.",
	min: 1, max: 1,
	run: state,
}

func state(in *invocation) (int, error) {
	r, err := newRuntime(in)
	if err != nil {
		return 0, err
	}
	info, err := r.State(in.args[0])
	if err != nil {
		return 0, err
	}
	j := &jsonText{indent: "  "}
	writeInfo(j, &info)
	return 0, print(string(j.buf) + "\n")
}

// writeInfo writes the members that runc's state and list have, in its order.
func writeInfo(j *jsonText, i *container.Info) {
	j.open('{')
	j.key("ociVersion")
	j.text(i.Version)
	j.key("id")
	j.text(i.ID)
	j.key("pid")
	j.number(i.Pid)
	j.key("status")
	j.text(i.Status)
	j.key("bundle")
	j.text(i.Bundle)
	j.key("rootfs")
	j.text(i.Rootfs)
	j.key("created")
	j.text(i.Created)
	if len(i.Annotations) > 0 {
		j.key("annotations")
		j.open('{')
		for _, name := range slices.Sorted(maps.Keys(i.Annotations)) {
			j.key(name)
			j.text(i.Annotations[name])
		}
		j.close('}')
	}
	j.key("owner")
	j.text(i.Owner)
	j.close('}')
}
