package cli

import (
	"os"

	"ostia/internal/program"

	"golang.org/x/sys/unix"
)

// programError is a program of the host that ended with a status, and what it
// said.
type programError struct {
	name   string
	status unix.WaitStatus
	said   string
}

func (e *programError) Error() string { return e.name + ": " + program.Ended(e.status, e.said) }

// outputOf runs a program of the host with input on its standard input and
// returns what it wrote to standard output and standard error.
func outputOf(name string, args []string, input string) (string, error) {
	path, err := program.Find(name)
	if err != nil {
		return "", &failure{name + ": not installed", err}
	}
	p := program.Program{Path: path, Args: append([]string{name}, args...), Env: os.Environ(), Stdin: input}
	output, status, err := p.Run()
	switch {
	case err != nil:
		return "", &failure{path, err}
	case status != 0:
		return output, &programError{name, status, output}
	}
	return output, nil
}
