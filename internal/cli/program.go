package cli

import (
	"errors"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// programError is a program of the host that ended with a status, and what it
// said.
type programError struct {
	name   string
	status int
	said   string
}

func (e *programError) Error() string {
	return e.name + ": exit status " + strconv.Itoa(e.status) + ": " + strings.Join(strings.Fields(e.said), " ")
}

var errNotOnPath = errors.New("not found in $PATH")

// outputOf runs a program of the host's PATH with input on its standard input
// and returns what it wrote to standard output and standard error.
func outputOf(name string, args []string, input string) (string, error) {
	path, err := lookPath(name)
	if err != nil {
		return "", err
	}
	stdin, err := unix.MemfdCreate("input", unix.MFD_CLOEXEC)
	if err != nil {
		return "", &failure{name + ": memfd_create", err}
	}
	defer unix.Close(stdin)
	if err := writeAll(stdin, input); err != nil {
		return "", &failure{name + ": write", err}
	}
	if _, err := unix.Seek(stdin, 0, unix.SEEK_SET); err != nil {
		return "", &failure{name + ": lseek", err}
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return "", &failure{name + ": pipe", err}
	}
	defer unix.Close(pipe[0])
	pid, err := syscall.ForkExec(path, append([]string{name}, args...), &syscall.ProcAttr{
		Env:   syscall.Environ(),
		Files: []uintptr{uintptr(stdin), uintptr(pipe[1]), uintptr(pipe[1])},
	})
	unix.Close(pipe[1])
	if err != nil {
		return "", &failure{path, err}
	}
	output, readErr := readAll(pipe[0])
	var status unix.WaitStatus
	for {
		if _, err = unix.Wait4(pid, &status, 0, nil); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return "", &failure{name + ": wait", err}
	}
	if readErr != nil {
		return "", &failure{name + ": read", readErr}
	}
	if code := status.ExitStatus(); code != 0 { // -1 when a signal ended it
		return output, &programError{name, code, output}
	}
	return output, nil
}

// lookPath finds a program as execvp(3) does.
func lookPath(name string) (string, error) {
	path, ok := unix.Getenv("PATH")
	if !ok {
		path = "/usr/bin:/bin"
	}
	for dir := range strings.SplitSeq(path, ":") {
		file := dir + "/" + name
		if dir == "" {
			file = "./" + name
		}
		var st unix.Stat_t
		if unix.Stat(file, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && unix.Access(file, unix.X_OK) == nil {
			return file, nil
		}
	}
	return "", &failure{name + ": not installed", errNotOnPath}
}

func readAll(fd int) (string, error) {
	var all []byte
	var chunk [8192]byte
	for {
		n, err := unix.Read(fd, chunk[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return string(all), err
		}
		all = append(all, chunk[:n]...)
	}
}
