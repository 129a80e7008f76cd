package cli

import (
	"strings"

	"ostia/internal/typo"
)

// command is one line of the table of commands.
type command struct {
	name        string
	synopsis    string // what follows the name: flags and arguments, a line for each way
	summary     string // one line
	description string // paragraphs for help and manual
	flags       []flag
	min, max    int  // arguments; max < 0 is no limit
	stopAtFirst bool // what follows the first argument is no flag of ours
	runsProgram bool // fails with 125, 126 or 127
	run         func(*invocation) (status int, err error)
}

// commands is every command, in the order of the help. Pointers, because the
// linker lays those out; copies of the structs would be made at every start.
var commands = [...]*command{
	&createCommand, &startCommand, &runCommand, &execCommand, &killCommand, &deleteCommand,
	&stateCommand, &listCommand, &psCommand, &pauseCommand, &resumeCommand, &updateCommand, &eventsCommand, &mountsCommand,
	&checkpointCommand, &restoreCommand,
	&planCommand, &specCommand, &featuresCommand,
	&explainCommand, &checkCommand, &doctorCommand, &traceCommand,
}

// commandNamed finds a command. It refuses what is none with the nearest one.
func (in *invocation) commandNamed(name string) (*command, error) {
	for _, c := range commands {
		if c.name == name {
			return c, nil
		}
	}
	near := typo.Nearest(name, func(yield func(string) bool) {
		for _, c := range commands {
			if !yield(c.name) {
				return
			}
		}
	})
	return nil, usageError("unknown command " + name + didYouMean(near, "see "+in.program+" --help"))
}

// usage is the first way to call the command, on one line.
func (c *command) usage(program string) string { return c.usages(program)[0] }

// usages are all of them, a line each.
func (c *command) usages(program string) []string {
	lines := strings.Split(c.synopsis, "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(program + " " + c.name + " " + lines[i])
	}
	return lines
}

// usageError is a command line that cannot be carried out.
type usageError string

func (e usageError) Error() string { return string(e) }

// didYouMean ends an error about an unknown word with the nearest known one, or
// with where to look.
func didYouMean(near, otherwise string) string {
	if near != "" {
		return ": did you mean " + near + "?"
	}
	return ": " + otherwise
}
