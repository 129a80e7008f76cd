package monitor

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"ostia/internal/vm/guest"
	"ostia/internal/vm/network"
	"ostia/internal/vm/prepare"
	"ostia/internal/vm/virtiofs"

	"golang.org/x/sys/unix"
)

var errNoProc = errors.New("the microVM handler needs a mount of type proc at /proc")

// openTree is the server of the tree that this process has as its root: the
// container's, with all its mounts.
func openTree() (*virtiofs.Server, error) {
	root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("the container's root: %w", err)
	}
	return serve(root)
}

// serve is the server of a folder.
func serve(root int) (*virtiofs.Server, error) {
	proc, err := unix.Open("/proc/self/fd", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("mounts: %w (%w)", errNoProc, err)
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(proc, &fs); err != nil || fs.Type != unix.PROC_SUPER_MAGIC {
		return nil, fmt.Errorf("mounts: %w", errNoProc)
	}
	return virtiofs.New(root, proc)
}

// describe is what the agent is told.
func describe(setup *prepare.Setup, tty *terminal, cards []network.Card) ([]byte, error) {
	var names unix.Utsname
	if err := unix.Uname(&names); err != nil {
		return nil, fmt.Errorf("hostname: %w", err)
	}
	config, sysctls, err := guest.Config([]byte(setup.Config), unix.ByteSliceToString(names.Nodename[:]), resolve)
	if err != nil {
		return nil, err
	}
	size := tty.size()
	m := guest.Machine{Config: string(config), Terminal: setup.Terminal, Rows: size.Rows, Columns: size.Columns, Sysctls: sysctls}
	for _, c := range cards {
		m.Links = append(m.Links, c.Link)
	}
	return m.Text(), nil
}

// resolve is the path that a path of the container leads to, without links. A
// mount's destination has been made by now.
func resolve(path string) (string, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	at, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil || !strings.HasPrefix(at, "/") {
		return "", fmt.Errorf("where it leads to: %w", errors.Join(err, unix.ENOENT))
	}
	return at, nil
}
