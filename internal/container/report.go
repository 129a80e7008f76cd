package container

import (
	"errors"
	"strings"
	"time"

	"ostia/entrypoint"
	"ostia/internal/json"
	"ostia/internal/linux"
	"ostia/internal/spec"
	"ostia/internal/state"

	"golang.org/x/sys/unix"
)

// Report is what is kept of a failure for Explain. It is written only when
// something has failed.
type Report struct {
	Command  string // create, run or start
	Time     string // RFC 3339, UTC
	Bundle   string
	Message  string // the error, as the command said it; "" when the program ended by itself
	Status   int    // of a run: the program's exit status, 128+N for signal N
	Pointer  string // the member of config.json that it is about
	Call     string // the system call of the plan that failed
	Errno    string // its name: ENOENT
	Output   string // what the failed hook printed, its end
	OOMKills uint64 // processes of the container that the kernel ended for want of memory
	Advice   string // what to do
}

// newReport is the report of err, nil for none.
func newReport(command, bundle string, err error) *Report {
	r := &Report{Command: command, Time: time.Now().UTC().Format(time.RFC3339), Bundle: bundle}
	if err == nil {
		return r
	}
	r.Message = err.Error()
	var config *spec.Error
	var text *json.Error
	var stage *stageError
	var hook *hookError
	var verdict *entrypoint.Verdict
	switch {
	case errors.As(err, &verdict):
		r.Pointer = "process.args[0]"
	case errors.As(err, &config):
		r.Pointer, _, _ = strings.Cut(config.Pointer, " ")
	case errors.As(err, &text):
		r.Pointer = text.Pointer
	case errors.As(err, &stage):
		r.Pointer, _, _ = strings.Cut(stage.note, " ")
		r.Pointer = strings.TrimSuffix(r.Pointer, ":")
	}
	var errno unix.Errno
	if errors.As(err, &errno) {
		r.Errno = unix.ErrnoName(errno)
	}
	if errors.As(err, &hook) {
		r.Output = hook.output[max(0, len(hook.output)-maxOutput):]
	}
	r.Advice = advice(err, r.Pointer)
	return r
}

// maxOutput is how much of a hook's output is kept.
const maxOutput = 8 << 10

// report keeps why a create or run has failed, err, unless it failed because
// of another container or of its id. It returns err.
func (c *creation) report(command string, err error) error {
	if err == nil || errors.Is(err, ErrInvalidID) || errors.Is(err, state.ErrExist) || errors.Is(err, state.ErrBusy) {
		return err
	}
	r := newReport(command, c.bundle, err)
	r.OOMKills = c.oomKills
	if c.failedOp != 0 {
		r.Call = c.plan.CallText(c.failedOp, linux.SyscallName)
	}
	_ = state.Report(c.r.Root, c.o.ID, r.encode()) // the error is told all the same
	return err
}

// reportEnd keeps how the program of a run has ended, if that was no success:
// with the container if it is kept.
func (c *creation) reportEnd(status int, err error) {
	if status == 0 && err == nil {
		return
	}
	r := newReport("run", c.bundle, err)
	r.Status = status
	if c.group != nil {
		r.OOMKills, _ = c.group.OOMKills()
	}
	if r.OOMKills > 0 {
		r.Pointer, r.Advice = "linux.resources.memory.limit", adviceMemory
	}
	if !c.o.Keep {
		_ = state.Report(c.r.Root, c.o.ID, r.encode())
		return
	}
	if d, err := state.View(c.r.Root, c.o.ID); err == nil {
		_ = d.Report(r.encode())
		d.Close()
	}
}

func (r *Report) encode() []byte {
	e := json.NewEncoder("")
	r.Write(e)
	return e.Bytes()
}

// Write writes the report, without what is empty.
func (r *Report) Write(e *json.Encoder) {
	e.Object(func() {
		for _, m := range [...]struct{ key, value string }{
			{"command", r.Command}, {"time", r.Time}, {"bundle", r.Bundle}, {"message", r.Message}, {"pointer", r.Pointer},
			{"call", r.Call}, {"errno", r.Errno}, {"output", r.Output}, {"advice", r.Advice},
		} {
			if m.value != "" {
				e.Key(m.key).String(m.value)
			}
		}
		if r.Status != 0 {
			e.Key("status").Int(int64(r.Status))
		}
		if r.OOMKills != 0 {
			e.Key("oomKills").Uint(r.OOMKills)
		}
	})
}

func decodeReport(text string) (*Report, error) {
	r := new(Report)
	d := json.NewDecoder(text)
	d.Object(func(key string) {
		switch key {
		case "command":
			r.Command = d.String()
		case "time":
			r.Time = d.String()
		case "bundle":
			r.Bundle = d.String()
		case "message":
			r.Message = d.String()
		case "pointer":
			r.Pointer = d.String()
		case "call":
			r.Call = d.String()
		case "errno":
			r.Errno = d.String()
		case "output":
			r.Output = d.String()
		case "advice":
			r.Advice = d.String()
		case "status":
			r.Status = int(d.Int(32))
		case "oomKills":
			r.OOMKills = d.Uint(64)
		default:
			d.Skip()
		}
	})
	return r, d.End()
}
