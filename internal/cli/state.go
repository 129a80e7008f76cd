package cli

import (
	"maps"
	"slices"

	"ostia/internal/container"
	"ostia/internal/json"
)

var stateCommand = command{
	name:     "state",
	synopsis: "CONTAINER",
	summary:  "print a container's state",
	description: "state prints the state of the container as the runtime-spec defines it, as JSON, with the members that runc adds: rootfs, created " +
		"and owner; with systemd-scope, as crun has it, for one in a unit of systemd's; and with fault, the reason, for a virtual machine that ended without its program's exit status.",
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
	e := json.NewEncoder("  ")
	writeInfo(e, &info)
	return 0, print(string(e.Bytes()) + "\n")
}

// writeInfo writes the members that runc's state and list have, in its order.
func writeInfo(e *json.Encoder, i *container.Info) {
	e.Object(func() {
		e.Key("ociVersion").String(i.Version)
		e.Key("id").String(i.ID)
		e.Key("pid").Int(int64(i.Pid))
		e.Key("status").String(i.Status)
		e.Key("bundle").String(i.Bundle)
		e.Key("rootfs").String(i.Rootfs)
		e.Key("created").String(i.Created)
		if len(i.Annotations) > 0 {
			e.Key("annotations").Object(func() {
				for _, name := range slices.Sorted(maps.Keys(i.Annotations)) {
					e.Key(name).String(i.Annotations[name])
				}
			})
		}
		e.Key("owner").String(i.Owner)
		if i.Scope != "" {
			e.Key("systemd-scope").String(i.Scope)
		}
		if i.Fault != "" {
			e.Key("fault").String(i.Fault)
		}
	})
}
