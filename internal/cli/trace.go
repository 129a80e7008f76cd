package cli

import (
	"strings"

	"ostia/internal/file"
	"ostia/internal/timeline"

	"golang.org/x/sys/unix"
)

var traceCommand = command{
	name:     "trace",
	synopsis: "FILE [--output OUT]",
	summary:  "draw a file of --trace",
	description: "trace draws what --trace of create, run or exec has written: the runtime's phases, and what the stage did for each member of " +
		"config.json, on one axis. OUT ends in .svg, or in .html for a page that also lists the longest system calls; both hold all that they " +
		"need. Without it the SVG goes to standard output.",
	flags: []flag{{name: "output", short: 'o', kind: text, value: "OUT", help: "the file to write: *.svg or *.html"}},
	min:   1, max: 1,
	run: drawTrace,
}

func drawTrace(in *invocation) (int, error) {
	out := in.text("output")
	page := strings.HasSuffix(out, ".html")
	if in.given("output") && !page && !strings.HasSuffix(out, ".svg") {
		return 0, usageError("trace: --output " + out + ": ends neither in .svg nor in .html")
	}
	text, err := file.Read(in.args[0])
	if err != nil {
		return 0, &failure{"trace: " + in.args[0], err}
	}
	t, err := timeline.Read(text)
	if err != nil {
		return 0, &failure{"trace: " + in.args[0], err}
	}
	title := in.args[0][strings.LastIndexByte(in.args[0], '/')+1:]
	picture := ""
	if page {
		picture = t.HTML(title)
	} else {
		picture = t.SVG(title)
	}
	if out == "" {
		return 0, print(picture)
	}
	fd, err := unix.Open(out, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return 0, &failure{"trace: --output " + out, err}
	}
	defer unix.Close(fd)
	if err := file.WriteAll(fd, picture); err != nil {
		return 0, &failure{"trace: --output " + out, err}
	}
	return 0, nil
}
