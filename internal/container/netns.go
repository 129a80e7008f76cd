package container

import (
	"runtime"
	"unsafe"

	"ostia/internal/launch"
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// newNetwork begins to make the container's new network namespace, which takes
// as long as all that the runtime does before it forks. nil is one that the
// clone makes: a user namespace of the container's must own it.
func newNetwork(s *spec.Spec) *launch.Network {
	fresh := false
	for i := range s.Linux.Namespaces {
		switch n := &s.Linux.Namespaces[i]; n.Flag {
		case unix.CLONE_NEWUSER:
			return nil
		case unix.CLONE_NEWNET:
			fresh = n.Path == ""
		}
	}
	if !fresh {
		return nil
	}
	return launch.MakeNetwork()
}

// loopbackUp brings the loopback interface of this thread's network namespace
// up.
func loopbackUp() error {
	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(sock)
	var ifreq [40]byte // struct ifreq
	copy(ifreq[:], "lo")
	ifreq[unix.IFNAMSIZ] = unix.IFF_UP | unix.IFF_RUNNING
	if _, _, e := unix.RawSyscall(unix.SYS_IOCTL, uintptr(sock), unix.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&ifreq))); e != 0 {
		return e
	}
	return nil
}

// loopbackUpIn does so in the network namespace of a process.
func loopbackUpIn(pid int) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with this goroutine
		pidfd, err := unix.PidfdOpen(pid, 0)
		if err == nil {
			err = unix.Setns(pidfd, unix.CLONE_NEWNET) //nolint:forbidigo // a thread that ends here, not the runtime
			unix.Close(pidfd)
		}
		if err == nil {
			err = loopbackUp()
		}
		done <- err
	}()
	return <-done
}
