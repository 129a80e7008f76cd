package container

import (
	"errors"

	"ostia/internal/linux"
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// newestLandlock is a version that can restrict all that a plan would.
const newestLandlock = 5

// landlock is the version of the kernel's Landlock for a process that is to be
// restricted by it, else 0.
func landlock(s *spec.Spec, p *spec.Process) (int, error) {
	if len(s.Extensions.Landlock) == 0 {
		return 0, nil
	}
	pointer := "annotations." + s.Extensions.Landlock[0].Annotation
	if !p.NoNewPrivileges {
		return 0, &spec.Error{Pointer: pointer, Err: errors.New("restricts processes with noNewPrivileges only: set it for this one too (exec --no-new-privs)")}
	}
	version, err := linux.Landlock()
	if err == nil {
		return version, nil
	}
	reason := "this kernel has no Landlock: it needs Linux 5.13 with CONFIG_SECURITY_LANDLOCK, or leave the annotation out"
	if err == unix.EOPNOTSUPP {
		reason = "this host was booted without Landlock: add it to the kernel parameter lsm= (lsm=landlock,...), or leave the annotation out"
	}
	return 0, &spec.Error{Pointer: pointer, Err: &advised{err, reason}}
}
