package container

import (
	"errors"
	"strings"

	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// keepHostSysctls refuses sysctls of a namespace that is joined by its path
// when that turns out to be the one of this process: they would be the host's.
func keepHostSysctls(s *spec.Spec, n *spec.Namespace, fd int) error {
	var joined, own unix.Stat_t
	for _, kv := range s.Linux.Sysctl {
		if spec.SysctlNamespace(kv.Key) != n.Flag {
			continue
		}
		if err := unix.Fstat(fd, &joined); err != nil {
			return err
		}
		if err := unix.Stat("/proc/self/ns/"+strings.TrimSuffix(n.Type, "work"), &own); err != nil {
			return err
		}
		if joined.Dev == own.Dev && joined.Ino == own.Ino {
			return errors.New("is the host's: linux.sysctl." + kv.Key + " would change it")
		}
	}
	return nil
}
