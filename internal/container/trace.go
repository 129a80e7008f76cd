package container

import (
	"encoding/binary"
	"strconv"
	"strings"

	"ostia/internal/json"
	"ostia/internal/plan"

	"golang.org/x/sys/unix"
)

// trace collects the times of a create, run or exec: the runtime's phases, the
// stage's ops, and what a machine has told of itself by then. A nil trace collects nothing.
type trace struct {
	path   string
	file   int   // path, open
	start  int64 // CLOCK_MONOTONIC, ns
	phases []tracePhase
	fd     int // where the stage writes the times of its ops, and a monitor its phases
}

type tracePhase struct {
	name string
	end  int64
}

// newTrace begins a trace, nil for no path. The file is made now: one that
// cannot be written is an error before anything is done.
func newTrace(path string) (*trace, error) {
	if path == "" {
		return nil, nil
	}
	file, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, failed("--trace", path, err)
	}
	return &trace{path: path, file: file, start: monotonic(), fd: -1}, nil
}

func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}

// phase ends a phase of the runtime.
func (t *trace) phase(name string) {
	if t != nil {
		t.phases = append(t.phases, tracePhase{name, monotonic()})
	}
}

func (t *trace) memfd() (fd int, err error) {
	t.fd, err = unix.MemfdCreate("trace", unix.MFD_CLOEXEC)
	return t.fd, err
}

// write writes the trace in the Chrome trace event format (complete events,
// microseconds): thread 1 is the runtime, thread 2 the stage, thread 3 a machine.
func (t *trace) write(p *plan.Plan) error {
	if t == nil {
		return nil
	}
	defer unix.Close(t.file)
	b := []byte(`{"displayTimeUnit":"ns","traceEvents":[` + "\n" +
		`{"name":"thread_name","ph":"M","pid":1,"tid":1,"args":{"name":"ostia"}},` + "\n" +
		`{"name":"thread_name","ph":"M","pid":1,"tid":2,"args":{"name":"stage"}}`)
	at := t.start
	for _, ph := range t.phases {
		b = t.event(b, ph.name, 1, at, ph.end)
		at = ph.end
	}
	b = t.ops(b, p)
	b = append(b, "\n]}\n"...)
	_, err := unix.Write(t.file, b)
	return failed("--trace", t.path, err)
}

// ops adds the stage's ops: each began when the one before it ended.
func (t *trace) ops(b []byte, p *plan.Plan) []byte {
	if t.fd < 0 || p == nil {
		return b
	}
	defer unix.Close(t.fd)
	notes := p.TracedOps()
	times := make([]byte, 16*len(notes))
	n, _ := unix.Pread(t.fd, times, 0)
	before := int64(0)
	for i := 0; 16*(i+1) <= n; i++ {
		end := int64(binary.LittleEndian.Uint64(times[16*i:]))*1e9 + int64(binary.LittleEndian.Uint64(times[16*i+8:]))
		if end == 0 {
			continue // an op that was jumped over
		}
		if before != 0 {
			b = t.event(b, notes[i].String(), 2, before, end)
		}
		before = end
	}
	return t.machine(b, int64(len(times)), before)
}

// machine adds the phases of a machine, a line each behind the stage's times:
// when it ended, and its name. The first began at before.
func (t *trace) machine(b []byte, at, before int64) []byte {
	text := make([]byte, 4096)
	n, _ := unix.Pread(t.fd, text, at)
	if n > 0 {
		b = append(b, ",\n"+`{"name":"thread_name","ph":"M","pid":1,"tid":3,"args":{"name":"machine"}}`...)
	}
	for line := range strings.Lines(string(text[:max(n, 0)])) {
		when, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		end, err := strconv.ParseInt(when, 10, 64)
		if err != nil || end < before {
			break
		}
		b = t.event(b, name, 3, before, end)
		before = end
	}
	return b
}

func (t *trace) event(b []byte, name string, tid int, from, to int64) []byte {
	b = append(b, ",\n"...)
	b = append(b, `{"name":`...)
	b = json.AppendString(b, name)
	b = append(b, `,"ph":"X","pid":1,"tid":`...)
	b = strconv.AppendInt(b, int64(tid), 10)
	b = append(b, `,"ts":`...)
	b = strconv.AppendFloat(b, float64(from-t.start)/1e3, 'f', 3, 64)
	b = append(b, `,"dur":`...)
	b = strconv.AppendFloat(b, float64(to-from)/1e3, 'f', 3, 64)
	return append(b, '}')
}
