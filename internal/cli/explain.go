package cli

import (
	"strconv"
	"strings"

	"ostia/internal/container"
	"ostia/internal/json"
	"ostia/internal/program"
)

var explainCommand = command{
	name:     "explain",
	synopsis: "[flags] CONTAINER",
	summary:  "say why a container failed or ended",
	description: "explain says what went wrong with a container, in more words than the error had room for: the system call that failed and its " +
		"errno, the member of config.json that it was for, what a hook printed, whether memory ran out, and what to do. It knows " +
		"containers that exist, and by their ids the last ones whose create failed or whose run ended without success.",
	flags: []flag{
		{name: "format", short: 'f', kind: text, value: "FORMAT", help: "text (default) or json"},
	},
	min: 1, max: 1,
	run: explain,
}

func explain(in *invocation) (int, error) {
	asJSON, err := jsonOrText(in)
	if err != nil {
		return 0, err
	}
	r, err := newRuntime(in)
	if err != nil {
		return 0, err
	}
	e, err := r.Explain(in.args[0])
	if err != nil {
		return 0, err
	}
	if asJSON {
		return 0, print(explanationJSON(in.args[0], e))
	}
	return 0, print(explanationText(in.args[0], e))
}

// explanationText is an explanation for people: a sentence, and under it what
// is known, a line each.
func explanationText(id string, e *container.Explanation) string {
	s := id + ": " + whatBecame(e) + "\n"
	line := func(name, text string) {
		if text != "" {
			s += "  " + pad(name, 10) + program.OneLine(text) + "\n"
		}
	}
	r := e.Report
	if r == nil {
		line("to do", nextStep(e.Info))
		return s
	}
	line("why", r.Message)
	if r.Pointer != "" {
		line("config", r.Pointer+" of the bundle "+r.Bundle)
	}
	line("call", r.Call)
	line("errno", r.Errno)
	if r.OOMKills > 0 {
		line("memory", "the kernel killed "+strconv.FormatUint(r.OOMKills, 10)+" of its processes because the limit of its cgroup was reached")
	}
	name := "printed"
	for text := range strings.Lines(r.Output) {
		line(name, text)
		name = ""
	}
	line("to do", r.Advice)
	return s
}

// whatBecame is the sentence that an explanation begins with.
func whatBecame(e *container.Explanation) string {
	r := e.Report
	if e.Info == nil {
		switch {
		case r.Message != "":
			return r.Command + " failed at " + r.Time
		default:
			return "it ran until " + r.Time + ", and its program " + howEnded(r.Status)
		}
	}
	s := "it is " + e.Info.Status + ", created at " + e.Info.Created
	if r != nil && r.Status != 0 {
		s += "; its program " + howEnded(r.Status)
	}
	if r != nil && r.Message != "" && r.Time != "" {
		s += "; " + r.Command + " failed at " + r.Time
	}
	return s
}

// howEnded says what an exit status stands for. A program may itself end with
// one above 128, as shells do.
func howEnded(status int) string {
	s := "ended with exit status " + strconv.Itoa(status)
	if n := status - 128; n > 0 && n < len(signalNames) {
		s += ", as when signal " + strconv.Itoa(n) + " (" + signalNames[n] + ") ends one"
	}
	return s
}

// nextStep is what to do with a container of which nothing has failed.
func nextStep(i *container.Info) string {
	switch i.Status {
	case container.Created:
		return "ostia start " + i.ID + " executes its program"
	case container.Paused:
		return "ostia resume " + i.ID + " lets it run on"
	case container.Stopped:
		return "its program's exit status went to the process that waited for it; ostia delete " + i.ID + " removes what is left"
	}
	return ""
}

func explanationJSON(id string, e *container.Explanation) string {
	j := json.NewEncoder("  ")
	j.Object(func() {
		j.Key("id").String(id)
		if e.Info != nil {
			j.Key("state")
			writeInfo(j, e.Info)
		}
		if e.Report != nil {
			j.Key("report")
			e.Report.Write(j)
		}
	})
	return string(j.Bytes()) + "\n"
}
