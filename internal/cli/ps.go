package cli

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"ostia/internal/json"
)

var psCommand = command{
	name:     "ps",
	synopsis: "[flags] CONTAINER [PS-OPTION...]",
	summary:  "list a container's processes",
	description: "ps prints the lines of ps(1) that belong to the container. PS-OPTIONs go to ps(1); the default is -ef, and its output needs a " +
		"PID column. With --format json it prints the process ids. Of a virtual machine it prints the guest's processes, as the container " +
		"numbers them, and with --format json those that stand for them on the host.",
	flags: []flag{
		formatFlag,
		{name: "quiet", short: 'q', kind: boolean, help: "print the process ids only, one a line"},
	},
	min: 1, max: -1,
	stopAtFirst: true,
	run:         ps,
}

func ps(in *invocation) (int, error) {
	asJSON, err := wantsJSON(in)
	if err != nil {
		return 0, err
	}
	r, err := newRuntime(in)
	if err != nil {
		return 0, err
	}
	pids, err := r.Processes(in.args[0])
	if err != nil {
		return 0, err
	}
	if asJSON {
		e := json.NewEncoder("")
		e.Array(func() {
			for _, pid := range pids {
				e.Int(int64(pid))
			}
		})
		return 0, print(string(e.Bytes()) + "\n")
	}
	if in.is("quiet") {
		lines := ""
		for _, pid := range pids {
			lines += strconv.Itoa(pid) + "\n"
		}
		return 0, print(lines)
	}
	options := in.args[1:]
	if table, err := r.GuestProcesses(in.args[0]); err != nil || table != "" {
		if len(options) > 0 {
			err = errGuestPS
		}
		if err != nil {
			return 0, err
		}
		return 0, print(table)
	}
	if len(options) == 0 {
		options = []string{"-ef"}
	}
	output, err := outputOf("ps", options, "")
	if err != nil {
		return 0, err
	}
	lines, err := linesOf(output, pids)
	if err != nil {
		return 0, err
	}
	return 0, print(lines)
}

var errGuestPS = errors.New("ps: the processes of a virtual machine are listed by its guest, which knows no options of ps(1): leave them out")

var errNoPID = errors.New("ps: its output has no PID column")

// linesOf keeps the title of ps(1)'s output and the lines of the given pids.
func linesOf(output string, pids []int) (string, error) {
	title, rest, _ := strings.Cut(output, "\n")
	column := slices.Index(strings.Fields(title), "PID")
	if column < 0 {
		return "", errNoPID
	}
	kept := title + "\n"
	for line := range strings.Lines(rest) {
		fields := strings.Fields(line)
		if len(fields) <= column {
			continue
		}
		// With -L or -m a thread has "-" here, as its process has in others.
		pid, err := strconv.Atoi(fields[column])
		if err == nil && slices.Contains(pids, pid) {
			kept += strings.TrimSuffix(line, "\n") + "\n"
		}
	}
	return kept, nil
}
