// Package cli is the command line: the commands and their flags, what they
// print, what they log and the status they end with. What a command does to a
// container is internal/container's.
package cli

import (
	"errors"

	"ostia/entrypoint"
	"ostia/internal/container"
)

// Exit statuses of ostia's own failures. A program that ran ends with its own.
const (
	statusFailed  = 1   // of every command but run, create and exec
	statusRuntime = 125 // of run, create and exec: the runtime failed, not the entry point
)

// Main runs the command that args, the program's name first, call for and
// returns the exit status. Without criu, checkpoint and restore are ostia-criu's.
func Main(args []string, criu container.Criu) int {
	in, err := parseCommandLine(calledAs(args), args[min(1, len(args)):])
	in.criu = criu
	if err == nil && in.command == nil {
		err = in.answer()
	} else if err == nil {
		var status int
		if status, err = in.command.run(in); err == nil {
			return status
		}
	}
	if err == nil {
		return 0
	}
	in.report(err)
	return exitStatus(in.command, err)
}

// exitStatus is the status for a failed command. An error that carries a
// status of its own is a verdict on the entry point: 126 or 127.
func exitStatus(c *command, err error) int {
	if c == nil || !c.runsProgram {
		return statusFailed
	}
	var verdict *entrypoint.Verdict
	if errors.As(err, &verdict) {
		return verdict.Status
	}
	var machine *container.MachineError
	if errors.As(err, &machine) && machine.Status != 0 {
		return machine.Status
	}
	return statusRuntime
}
