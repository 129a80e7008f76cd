package cli

import (
	"strconv"

	"ostia/internal/container"
	"ostia/internal/json"
	"ostia/internal/program"
)

var checkCommand = command{
	name:     "check",
	synopsis: "[flags] [BUNDLE]",
	summary:  "find every problem of a bundle on this host",
	description: "check reads a bundle as create would and prints every problem at once, a line each: the member of config.json, the line it is on, " +
		"the reason and the way out. It makes nothing, runs nothing, and no other command needs it. BUNDLE is a folder (default: the working " +
		"directory). The exit status is 0 if create would take the bundle, as far as can be told before, and 1 if it would not. What would run, " +
		"but hardly as it was meant, like a mistyped member that nothing reads, is a warning; --strict makes the status 1 for these too.",
	flags: []flag{
		bundleFlag, configFlag,
		{name: "format", kind: text, value: "FORMAT", help: "text (default) or json"},
		{name: "strict", kind: boolean, help: "warnings are problems"},
	},
	min: 0, max: 1,
	run: check,
}

func check(in *invocation) (int, error) {
	asJSON, err := jsonOrText(in)
	if err != nil {
		return 0, err
	}
	r, err := newRuntime(in)
	if err != nil {
		return 0, err
	}
	bundle := in.text("bundle")
	if len(in.args) > 0 {
		if bundle != "" {
			return 0, usageError("check: the bundle is named twice: " + bundle + " and " + in.args[0])
		}
		bundle = in.args[0]
	}
	list, err := r.Check(bundle, in.text("config"))
	if err != nil {
		return 0, err
	}
	status := 0
	for i := range list {
		if !list[i].Warning || in.is("strict") {
			status = 1
		}
	}
	if asJSON {
		return status, print(problemsJSON(list))
	}
	if len(list) == 0 {
		return 0, print("no problem found\n")
	}
	return status, print(problemsText(list))
}

// jsonOrText reads --format of the commands that print text for people.
func jsonOrText(in *invocation) (asJSON bool, err error) {
	switch f := in.text("format"); f {
	case "", "text":
		return false, nil
	case "json":
		return true, nil
	default:
		return false, usageError("--format " + f + ": unknown: use text or json")
	}
}

func problemsText(list []container.Problem) (s string) {
	for i := range list {
		p := &list[i]
		if p.Line > 0 {
			s += "line " + strconv.Itoa(p.Line) + ": "
		}
		if p.Warning {
			s += "warning: "
		}
		if p.Pointer != "" {
			s += p.Pointer + ": "
		}
		s += program.OneLine(p.Reason)
		if p.Advice != "" {
			s += ": " + p.Advice
		}
		s += "\n"
	}
	return s
}

func problemsJSON(list []container.Problem) string {
	e := json.NewEncoder("  ")
	e.Array(func() {
		for i := range list {
			p := &list[i]
			e.Object(func() {
				level := "error"
				if p.Warning {
					level = "warning"
				}
				e.Key("level").String(level)
				if p.Pointer != "" {
					e.Key("pointer").String(p.Pointer)
				}
				if p.Line > 0 {
					e.Key("line").Int(int64(p.Line))
				}
				e.Key("reason").String(p.Reason)
				if p.Advice != "" {
					e.Key("advice").String(p.Advice)
				}
			})
		}
	})
	return string(e.Bytes()) + "\n"
}
