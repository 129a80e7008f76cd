package container

import (
	"runtime"
	"strconv"
	"unsafe"

	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// networkNamespace begins to make the container's new network namespace on a
// thread of its own: that takes the kernel 0.5 ms, as long as all the runtime
// has to do before it forks. nil is one that the clone makes: a user namespace
// of the container's must own it.
func networkNamespace(s *spec.Spec) chan int {
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
	made := make(chan int, 1)
	go func() {
		// The thread is in the namespace: it ends with this goroutine.
		runtime.LockOSThread()
		made <- makeNetworkNamespace()
	}()
	// A start has one. The goroutine comes first, and with it sysmon, which
	// launch.QuietSysmon expects to be the first thread.
	runtime.GOMAXPROCS(2)
	return made
}

// makeNetworkNamespace moves this thread into a new network namespace, brings
// its loopback up and returns the namespace's file, or -1: the clone will make
// one then, or find out why not.
func makeNetworkNamespace() int {
	if unix.Unshare(unix.CLONE_NEWNET) != nil { //nolint:forbidigo // a thread that ends here, not the runtime
		return -1
	}
	if loopbackUp() != nil {
		return -1
	}
	fd, err := unix.Open("/proc/self/task/"+strconv.Itoa(unix.Gettid())+"/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
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
