package container

import (
	"errors"

	"ostia/internal/state"
)

// Explanation is what is known of why a container failed or ended.
type Explanation struct {
	Info   *Info   // nil if there is no container
	Report *Report // nil if nothing is known to have failed
}

// Explain says what is known of a container: of one that exists, or of the last
// one with this id whose create failed or whose run is over.
func (r *Runtime) Explain(id string) (*Explanation, error) {
	d, s, err := r.view(id)
	if errors.Is(err, state.ErrNotExist) {
		text, lost := state.ReadReport(r.Root, id)
		if lost == state.ErrNotExist {
			return nil, &advised{err, "nor has the create or the run of one with this id failed lately"}
		}
		return explained(nil, id, text, lost)
	}
	if err != nil {
		return nil, err
	}
	defer d.Close()
	info, err := r.info(d, s)
	if err != nil {
		return nil, err
	}
	text, err := d.ReadReport()
	if err == state.ErrNotExist {
		e := &Explanation{Info: &info}
		if s.Cgroup != nil {
			if kills, err := s.Cgroup.OOMKills(); err == nil && kills > 0 {
				e.Report = &Report{Bundle: s.Bundle, OOMKills: kills, Pointer: "linux.resources.memory.limit", Advice: adviceMemory}
			}
		}
		if info.Fault != "" { // nobody has waited for it
			if e.Report == nil {
				e.Report = &Report{Bundle: s.Bundle}
			}
			e.Report.Message = (&MachineError{Reason: info.Fault}).Error()
		}
		return e, nil
	}
	return explained(&info, id, text, err)
}

func explained(info *Info, id, text string, err error) (*Explanation, error) {
	if err != nil {
		return nil, failed("report on", id, err)
	}
	report, err := decodeReport(text)
	if err != nil {
		return nil, failed("report on", id, err)
	}
	return &Explanation{info, report}, nil
}
