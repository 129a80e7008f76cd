package container

import (
	"errors"
	"strings"

	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// passedOver says what a process or a cgroup is to have and goes without, as
// with runc. Either may be nil.
func passedOver(p *spec.Process, r *spec.Resources) (list []error) {
	add := func(pointer, why string) {
		list = append(list, &spec.Error{Pointer: pointer, Err: errors.New(why)})
	}
	if r != nil && r.Memory != nil && r.Memory.Kernel != nil && *r.Memory.Kernel > 0 {
		add("linux.resources.memory.kernel", "ignored: memory.limit counts the kernel's memory for the container too: leave it out")
	}
	if p == nil || p.Capabilities == nil {
		return list
	}
	caps := p.Capabilities
	if len(caps.Unknown) > 0 {
		add("process.capabilities", "left out what is no capability: "+strings.Join(caps.Unknown, ", "))
	}
	lost := caps.Ambient &^ (caps.Permitted & caps.Inheritable) // capabilities(7)
	for i := range unix.CAP_LAST_CAP + 1 {
		if lost>>i&1 != 0 {
			add("process.capabilities.ambient", "can't raise ambient capability "+spec.CapabilityName(i)+": operation not permitted: add it to permitted and to inheritable")
		}
	}
	return list
}

// warn tells of them once the process is there: an engine reads a log that says
// why there is none as one error and nothing else.
func (r *Runtime) warn(list []error) {
	if r.Warn == nil {
		return
	}
	for _, err := range list {
		r.Warn(err)
	}
}
