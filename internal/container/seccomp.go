package container

import (
	"errors"

	"ostia/internal/plan"
	"ostia/internal/spec"
)

func compileSeccomp(s *spec.Spec) (plan.Seccomp, error) {
	if s.Linux.Seccomp == nil {
		return plan.Seccomp{}, nil
	}
	return plan.Seccomp{}, errors.New("linux.seccomp: wait")
}
