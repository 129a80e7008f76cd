package container

import (
	"runtime"

	"ostia/internal/plan"
	"ostia/internal/seccomp"
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// compileSeccomp compiles linux.seccomp for this machine; none is no program.
func compileSeccomp(s *spec.Spec) (plan.Seccomp, error) {
	if s.Linux.Seccomp == nil {
		return plan.Seccomp{}, nil
	}
	f, err := seccomp.Compile(s.Linux.Seccomp, runtime.GOARCH)
	if err != nil {
		return plan.Seccomp{}, err
	}
	return plan.Seccomp{
		Program: f.Program, Flags: f.Flags, Notify: f.Notify,
		Reports: f.Allows(unix.SYS_WRITE) && f.Allows(unix.SYS_READ) && f.Allows(unix.SYS_EXIT_GROUP),
	}, nil
}
