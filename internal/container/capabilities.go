package container

import (
	"errors"
	"strings"

	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// lostCapabilities says which capabilities a process asks for and goes without,
// as with runc.
func lostCapabilities(p *spec.Process) (list []error) {
	if p == nil || p.Capabilities == nil {
		return nil
	}
	caps := p.Capabilities
	add := func(pointer, why string) {
		list = append(list, &spec.Error{Pointer: pointer, Err: errors.New(why)})
	}
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

// warnOfLost tells of them once the process is there: an engine reads a log that
// says why there is none as one error and nothing else.
func (r *Runtime) warnOfLost(p *spec.Process) {
	if r.Warn == nil {
		return
	}
	for _, err := range lostCapabilities(p) {
		r.Warn(err)
	}
}
