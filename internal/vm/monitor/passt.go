package monitor

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"ostia/internal/vm/network"
	"ostia/internal/vm/prepare"

	"golang.org/x/sys/unix"
)

// The descriptors of Passt.
const (
	namespaceFD = 3 // the container's network namespace
	wireFD      = 4
	setupFD     = 5
	groupFD     = 6 // and those behind it: files of cgroups that take a process
)

// Passt becomes passt(1) in the container's network namespace and cgroups, of
// which there are so many files. passt goes on in the background when it is
// ready, and ends with the connection. What keeps it from that it says on
// standard error.
func Passt(groups string) int {
	runtime.LockOSThread() // a namespace is a thread's until it executes a program
	fmt.Fprintln(os.Stderr, becomePasst(groups))
	return 1
}

func becomePasst(groups string) error {
	n, err := strconv.Atoi(groups)
	if err != nil {
		return err
	}
	for fd := range n {
		// An ordinary user may not leave the session's scope: it stays in that.
		if _, err := unix.Write(groupFD+fd, []byte("0")); err != nil && err != unix.EACCES {
			return fmt.Errorf("cgroup: %w", err)
		}
		unix.CloseOnExec(groupFD + fd)
	}
	unix.CloseOnExec(namespaceFD)
	unix.CloseOnExec(setupFD)
	if err := joinNetworkNamespace(); err != nil {
		return fmt.Errorf("network namespace: %w", err)
	}
	template, err := network.Template()
	if err != nil {
		return err
	}
	var s prepare.Setup
	// The file's offset is the monitor's.
	if err := json.NewDecoder(io.NewSectionReader(os.NewFile(setupFD, "setup"), 0, 1<<30)).Decode(&s); err != nil {
		return fmt.Errorf("the machine's setup: %w", err)
	}
	// As crun starts it for krun: the gateway stays the gateway, because a name
	// server may be there.
	err = syscall.Exec(s.Passt, []string{"passt", "--quiet", "--interface", template.Name, "--tcp-ports", s.Ports, "--udp-ports", s.Ports,
		"--no-dhcp-dns", "--no-map-gw", "--fd", strconv.Itoa(wireFD)}, nil)
	return fmt.Errorf("%s: %w", s.Passt, err)
}

// joinNetworkNamespace enters the container's, unless that is this process's:
// then it may do without the right to.
func joinNetworkNamespace() error {
	var theirs, own unix.Stat_t
	if err := unix.Fstat(namespaceFD, &theirs); err != nil {
		return err
	}
	if err := unix.Stat("/proc/self/ns/net", &own); err != nil {
		return err
	}
	if theirs.Dev == own.Dev && theirs.Ino == own.Ino {
		return nil
	}
	return unix.Setns(namespaceFD, unix.CLONE_NEWNET) //nolint:forbidigo // of a process that becomes another program
}
