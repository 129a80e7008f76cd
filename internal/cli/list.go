package cli

import (
	"strconv"

	"ostia/internal/container"
	"ostia/internal/json"

	"golang.org/x/sys/unix"
)

var listCommand = command{
	name:        "list",
	synopsis:    "[flags]",
	summary:     "list the containers",
	description: "list prints the containers below --root.",
	flags: []flag{
		formatFlag,
		{name: "quiet", short: 'q', kind: boolean, help: "print ids only"},
	},
	min: 0, max: 0,
	run: list,
}

var formatFlag = flag{name: "format", short: 'f', kind: text, value: "FORMAT", help: "table (default) or json"}

func list(in *invocation) (int, error) {
	asJSON, err := wantsJSON(in)
	if err != nil {
		return 0, err
	}
	r, err := newRuntime(in)
	if err != nil {
		return 0, err
	}
	// A root that was asked for by name and is not there is a mistake; the
	// default one appears with the first container.
	if in.given("root") {
		if err := unix.Access(r.Root, unix.F_OK); err != nil {
			return 0, &failure{"list: --root " + r.Root, err}
		}
	}
	all, unread := r.List()
	if all == nil {
		return 0, unread
	}
	if err := print(listed(in, all, asJSON)); err != nil {
		return 0, err
	}
	return 0, unread
}

// listed is the containers in the form that the flags ask for.
func listed(in *invocation, all []container.Info, asJSON bool) string {
	switch {
	case in.is("quiet"):
		return idLines(all)
	case asJSON:
		e := json.NewEncoder("")
		e.Array(func() {
			for i := range all {
				writeInfo(e, &all[i])
			}
		})
		return string(e.Bytes()) + "\n"
	}
	rows := [][]string{{"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"}}
	for i := range all {
		c := &all[i]
		rows = append(rows, []string{c.ID, strconv.Itoa(c.Pid), c.Status, c.Bundle, c.Created, c.Owner})
	}
	return table(rows)
}

// wantsJSON reads --format of list and ps.
func wantsJSON(in *invocation) (bool, error) {
	switch f := in.text("format"); f {
	case "", "table":
		return false, nil
	case "json":
		return true, nil
	default:
		return false, usageError(in.command.name + ": --format " + f + ": unknown: use table or json")
	}
}

// idLines is the containers' ids, a line each.
func idLines(all []container.Info) string {
	s := ""
	for i := range all {
		s += all[i].ID + "\n"
	}
	return s
}

// table aligns rows as runc does: columns of 12 or more, three spaces apart.
func table(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell)+3, 12)
		}
	}
	s := ""
	for _, row := range rows {
		for i, cell := range row {
			if i < len(row)-1 {
				cell = pad(cell, widths[i])
			}
			s += cell
		}
		s += "\n"
	}
	return s
}
