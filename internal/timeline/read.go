// Package timeline reads a file of --trace and draws it: an SVG picture, or a
// page with one. It draws what ostia writes, not every Chrome trace.
package timeline

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strings"

	"ostia/internal/json"
)

// Trace is what took its time in one create, run or exec.
type Trace struct {
	Phases []Span // of the runtime, one after the other
	Ops    []Span // of the stage
	Boot   []Span // of a machine, one after the other
}

// Span is one thing from its begin to its end, in microseconds.
type Span struct {
	Name       string
	Start, End float64
}

// The threads that --trace names.
const (
	runtimeThread = 1
	stageThread   = 2
	machineThread = 3
)

// maxSpans is more than any plan has; a picture of more shows nothing.
const maxSpans = 100_000

// Read reads the text of a trace.
func Read(text string) (*Trace, error) {
	t := new(Trace)
	d := json.NewDecoder(text)
	d.Object(func(key string) {
		if key != "traceEvents" {
			d.Skip()
			return
		}
		d.Array(func(int) { t.event(d) })
	})
	if err := d.End(); err != nil {
		return nil, err
	}
	switch n := len(t.Phases) + len(t.Ops) + len(t.Boot); {
	case n == 0:
		return nil, errors.New("holds no event of ostia's: make one with --trace of create, run or exec")
	case n > maxSpans:
		return nil, errors.New("holds more events than any plan of ostia has")
	}
	for _, list := range [][]Span{t.Phases, t.Ops, t.Boot} {
		slices.SortStableFunc(list, func(a, b Span) int { return cmp.Compare(a.Start, b.Start) })
	}
	return t, nil
}

func (t *Trace) event(d *json.Decoder) {
	var s Span
	var kind string
	var thread int64
	var duration float64
	d.Object(func(key string) {
		switch key {
		case "name":
			s.Name = d.String()
		case "ph":
			kind = d.String()
		case "tid":
			thread = d.Int(64)
		case "ts":
			s.Start = d.Float()
		case "dur":
			duration = d.Float()
		default:
			d.Skip()
		}
	})
	const year = 365 * 24 * 3600 * 1e6
	if kind != "X" || s.Start < 0 || duration < 0 || s.Start > year || duration > year {
		return
	}
	s.End = s.Start + duration
	switch thread {
	case runtimeThread:
		t.Phases = append(t.Phases, s)
	case stageThread:
		t.Ops = append(t.Ops, s)
	case machineThread:
		t.Boot = append(t.Boot, s)
	}
}

// bounds are where the first span begins and the last one ends, never the same.
func (t *Trace) bounds() (from, to float64) {
	from, to = -1, 0
	for _, list := range [][]Span{t.Phases, t.Ops, t.Boot} {
		for _, s := range list {
			if from < 0 || s.Start < from {
				from = s.Start
			}
			to = max(to, s.End)
		}
	}
	// Late times have no thousandth of a microsecond.
	return from, max(to, from+0.001, math.Nextafter(from, math.Inf(1)))
}

// group is what the stage did one after the other for the same member of the
// configuration.
type group struct {
	Span
	ops []Span
}

// groups joins neighbours among the ops that are about the same member; those
// about none are the container's set-up.
func (t *Trace) groups() (list []group) {
	for _, op := range t.Ops {
		about, _, ok := strings.Cut(op.Name, ": ")
		if !ok {
			about = "set-up"
		}
		if n := len(list); n > 0 && list[n-1].Name == about {
			last := &list[n-1]
			last.End = max(last.End, op.End)
			last.ops = append(last.ops, op)
			continue
		}
		list = append(list, group{Span{about, op.Start, op.End}, []Span{op}})
	}
	return list
}
