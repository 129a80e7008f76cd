package engines

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// interminal ROWS COLS PROGRAM [ARG...] runs a program in a terminal of that
// size, as a person's shell would, prints what appears, types what its own input
// holds as soon as something has, and ends with the program's status.
func interminal() {
	status, err := inTerminal(os.Args[1], os.Args[2], os.Args[3:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "interminal:", err)
		status = 125
	}
	os.Exit(status)
}

func inTerminal(rows, cols string, argv []string) (int, error) {
	row, err := strconv.ParseUint(rows, 10, 16)
	if err != nil {
		return 0, err
	}
	col, err := strconv.ParseUint(cols, 10, 16)
	if err != nil {
		return 0, err
	}
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return 0, err
	}
	fd := int(ours.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return 0, err
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(row), Col: uint16(col)}); err != nil {
		return 0, err
	}
	theirs, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	theirs.Close()
	first := make([]byte, 1024)
	n, err := ours.Read(first)
	if err == nil {
		os.Stdout.Write(first[:n])
		go io.Copy(ours, os.Stdin)
		_, err = io.Copy(os.Stdout, ours)
	}
	// A terminal that nobody has open any more answers EIO.
	if err != nil && !errors.Is(err, syscall.EIO) {
		return 0, err
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}
