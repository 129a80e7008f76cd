package container

import (
	"strconv"
	"strings"

	"ostia/internal/plan"
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// The steps that a debug log tells, for who looks into what happens. They begin
// with the words that runc's log has for the same step: people search for them.

// debugForked tells of a stage that has been cloned.
func (r *Runtime) debugForked(pid int, process *spec.Process, filter *plan.Seccomp) {
	if r.Debug == nil {
		return
	}
	text := "nsexec container setup: process " + strconv.Itoa(pid)
	if a := process.ExecCPUAffinity; a != nil && a.Initial != "" {
		if set, err := spec.ParseCPUList(a.Initial); err == nil {
			text += ": affinity: " + mask(set)
		}
	}
	r.Debug(text)
	if len(filter.Program) > 0 {
		flags := filter.Flags
		if filter.Notify {
			flags |= unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
		}
		r.Debug("seccomp filter flags: " + strconv.FormatUint(uint64(flags), 10))
	}
}

// debugReady tells of a stage that has done all but to execute the program.
func (r *Runtime) debugReady(text string) {
	if r.Debug != nil {
		r.Debug("child process in init(): namespaces, mounts and identity are done")
		r.Debug(text)
	}
}

// mask is a set of CPUs as one number.
func mask(set [16]uint64) string {
	text := ""
	for i := len(set) - 1; i >= 0; i-- {
		word := strconv.FormatUint(set[i], 16)
		switch {
		case text != "":
			text += strings.Repeat("0", 16-len(word)) + word
		case set[i] != 0:
			text = word
		}
	}
	return "0x" + text
}
