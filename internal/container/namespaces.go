package container

import (
	"errors"
	"strconv"
	"strings"
	"syscall"

	"ostia/internal/linux"
	"ostia/internal/plan"
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// openNamespaces opens the namespaces to join and says into which new ones the
// stage is cloned.
func (c *creation) openNamespaces(f *files, in *plan.Input, sys *syscall.SysProcAttr) error {
	l := &c.spec.Linux
	for i := range l.Namespaces {
		n := &l.Namespaces[i]
		if n.Flag == unix.CLONE_NEWUSER {
			in.Host.UserNS = true
		}
		if n.Path == "" {
			continue
		}
		fd, err := openNamespace(c.spec, n)
		if err != nil {
			return &spec.Error{Pointer: "linux.namespaces[" + strconv.Itoa(i) + "].path " + n.Path, Err: err}
		}
		if n.Flag == unix.CLONE_NEWUSER {
			if c.userNS, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3); err != nil {
				unix.Close(fd)
				return failed("namespace", n.Path, err)
			}
		}
		in.FDs.Join = append(in.FDs.Join, plan.Join{FD: f.add(fd), Flag: n.Flag, Index: i})
	}
	in.Host.UserNS = in.Host.UserNS || linux.InUserNS()
	in.Cloned = plan.BornWith(c.spec)
	if c.net != nil {
		in.Cloned &^= unix.CLONE_NEWNET
		in.FDs.Network = f.reserve()
	}
	if in.Cloned&unix.CLONE_NEWUSER != 0 {
		c.userNamespace(in, sys)
	}
	sys.Cloneflags = uintptr(in.Cloned)
	return nil
}

// takeTree has the stage make its mount namespace of the root's tree where that
// is enough and the kernel can.
func takeTree(_ *files, in *plan.Input, sys *syscall.SysProcAttr) error {
	if in.Tree = linux.HasOpenTreeNamespace() && in.TreeSuffices(); in.Tree {
		in.Cloned &^= unix.CLONE_NEWNS
		sys.Cloneflags &^= unix.CLONE_NEWNS
	}
	return nil
}

// openNamespace opens the file of a namespace and checks what it is.
func openNamespace(s *spec.Spec, n *spec.Namespace) (int, error) {
	fd, err := unix.Open(n.Path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE)
	switch {
	case err != nil:
		err = errors.New("is not a namespace file: give one like /proc/PID/ns/" + strings.TrimSuffix(n.Type, "work"))
	case uint64(kind) != n.Flag:
		err = errors.New("is a namespace of another kind than " + n.Type)
	default:
		err = keepHostSysctls(s, n, fd)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

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
