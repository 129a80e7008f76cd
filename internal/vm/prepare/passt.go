package prepare

import (
	"fmt"
	"os"

	"ostia/internal/program"

	"golang.org/x/sys/unix"
)

func findPasst() (string, error) {
	path, err := program.Find("passt")
	if err != nil {
		err = fmt.Errorf("annotations %s: passt(1): %w: install it, or leave the annotation out", annotationPasst, err)
	}
	return path, err
}

// wire is a connection: the monitor's end and passt's.
func wire() (ours, theirs *os.File, err error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	return os.NewFile(uintptr(p[0]), "wire"), os.NewFile(uintptr(p[1]), "wire"), nil
}
