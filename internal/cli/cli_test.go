package cli

import (
	"encoding/json"
	"errors"
	goflag "flag"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ostia/entrypoint"
	"ostia/internal/spec"
)

var update = goflag.Bool("update", false, "write docs/commands.md and docs/man anew")

// TestCommandsPage holds docs/commands.md to what --help says.
func TestCommandsPage(t *testing.T) {
	page := "# Commands\n\nThis page is what `ostia --help` and `ostia COMMAND --help` say; `go test ./internal/cli -update` writes it.\n\n```\n" +
		overview("ostia") + "```\n"
	for i := range commands {
		page += "\n## " + commands[i].name + "\n\n```\n" + commands[i].help("ostia") + "```\n"
	}
	golden(t, "../../docs/commands.md", page)
}

// TestManPages holds docs/man to the same source, a page a command.
func TestManPages(t *testing.T) {
	for i := range commands {
		c := commands[i]
		golden(t, "../../docs/man/ostia-"+c.name+".1", manual(c))
	}
	golden(t, "../../docs/man/ostia.1", overviewManual())
}

// manual is a command's manual page (man-pages(7)).
func manual(c *command) string {
	m := manualHead("ostia-"+c.name, c.summary)
	for i, line := range c.usages("ostia") {
		if i > 0 {
			m += ".br\n"
		}
		m += ".B " + troff(line) + "\n"
	}
	m += ".SH DESCRIPTION\n" + troff(c.description) + "\n"
	if len(c.flags) > 0 {
		m += ".SH OPTIONS\n" + manualFlags(c.flags)
	}
	return m + ".SH SEE ALSO\n.BR ostia (1)\n"
}

// overviewManual is the manual page of ostia itself.
func overviewManual() string {
	m := manualHead("ostia", "run OCI containers") + ".B ostia\n[flags] COMMAND [flags] [ARG...]\n.SH COMMANDS\n"
	for _, c := range commands {
		m += ".TP\n.BR ostia\\-" + c.name + " (1)\n" + troff(c.summary) + "\n"
	}
	return m + ".SH OPTIONS\n" + manualFlags(globalFlags[:]) +
		".SH EXIT STATUS\n.BR run ,\n.B create\nand\n.B exec\n" + troff("end with the program's status, with 128+N when signal N ended it, with 127 when the "+
		"entry point was not found, 126 when it cannot be invoked, 125 when ostia itself failed. The other commands end with 1 when they fail.") +
		"\n.SH SEE ALSO\n.BR crun (1),\n.BR runc (8)\n"
}

func manualHead(name, summary string) string {
	return ".TH " + troff(strings.ToUpper(name)) + " 1 2026-11-24 \"ostia " + version + "\"\n.SH NAME\n" + troff(name) + " \\- " + troff(summary) +
		"\n.SH SYNOPSIS\n"
}

func manualFlags(flags []flag) string {
	m := ""
	for i := range flags {
		m += ".TP\n.B " + troff(flags[i].usage()) + "\n" + troff(flags[i].help) + "\n"
	}
	return m
}

// troff escapes what troff would take for its own.
func troff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}

func golden(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s does not say what --help says: go test ./internal/cli -update", path)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"run --bundel x c", "run: unknown flag --bundel: did you mean --bundle?"},
		{"rnu c", "unknown command rnu: did you mean run?"},
		{"run", "run: too few arguments"},
		{"state a b", "state: too many arguments"},
		{"checkpoint", "checkpoint: too few arguments"},
		{"run --preserve-fds x c", "not a number"},
		{"restore --lsm-mount-context", "flag needs an argument"},
		{"--log-format xml state a", "--log-format xml: unknown"},
		{"--log-format xml spec", "--log-format xml: unknown"},
		{"--log kernel:x state a", "unknown kind of log: use a path"},
		{"--log-level loud state a", "--log-level loud: unknown"},
		{"--cgroup-manager none run c", "use cgroupfs, systemd or disabled"},
		{"--rootless perhaps run c", "use true, false or auto"},
		{"--root / state a", "must not be /"},
		{"run -bundel x c", "unknown flag -bundel: did you mean --bundle?"},
		{"run --detach=perhaps c", "not a truth value"},
		{"exec -g -1 c sh", "not a number from 0 to 4294967295"},
		{"exec c", "no command and no --process: ostia exec [flags] CONTAINER COMMAND"},
		{"exec -p p.json c sh", "--process and a command exclude each other"},
		{"exec -p p.json -u 0 c", "--process and --user exclude each other"},
		{"zzzzzz", "unknown command zzzzzz: see ostia --help"},
		{"--rooot /x state a", "did you mean --root?"},
	} {
		in, err := parseCommandLine("ostia", strings.Fields(c.line))
		if err == nil && in.command == &execCommand {
			_, err = exec(in)
		} else if err == nil && in.command != nil {
			_, err = newRuntime(in)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("ostia %s: %v; want %q", c.line, err, c.want)
		}
	}
}

func TestFlags(t *testing.T) {
	for _, line := range []string{
		"--root /r run -b /b --detach c", "--root=/r run --bundle=/b -d c", "-root /r run -bundle /b -d=true c", "--root /r run -db /b c",
		"run --root /r -d --bundle /b c",
	} {
		in, err := parseCommandLine("ostia", strings.Fields(line))
		if err != nil {
			t.Errorf("ostia %s: %v", line, err)
			continue
		}
		if in.text("root") != "/r" || in.text("bundle") != "/b" || !in.is("detach") || len(in.args) != 1 || in.args[0] != "c" {
			t.Errorf("ostia %s: %+v", line, in)
		}
	}
	in, err := parseCommandLine("ostia", strings.Fields("exec -t c ls -l --bundle"))
	if err != nil || strings.Join(in.args, " ") != "c ls -l --bundle" {
		t.Errorf("exec takes flags of the program for its own: %v %v", in.args, err)
	}
	for line, want := range map[string]string{
		"exec c -- ls -- -l": "c ls -- -l", "exec -- c -x": "c -x", "delete -f -- c": "c", "delete c --force": "c", "kill -a c 9": "c 9",
	} {
		in, err := parseCommandLine("ostia", strings.Fields(line))
		if err != nil || strings.Join(in.args, " ") != want {
			t.Errorf("ostia %s: arguments %v, %v; want %s", line, in.args, err, want)
		}
	}
	in, err = parseCommandLine("ostia", strings.Fields("exec -tdeA=1 --env B=2 -g7 -g 8 --tty=no c sh"))
	if err != nil || in.is("tty") || !in.is("detach") || strings.Join(in.texts("env"), " ") != "A=1 B=2" || len(in.ids("additional-gids")) != 2 {
		t.Errorf("%+v, %v", in, err)
	}
}

// TestExitStatus: 126 and 127 are verdicts on the entry point, 125 is ostia's
// own failure to run something, 1 that of any other command.
func TestExitStatus(t *testing.T) {
	verdict := error(entrypoint.FromErrno("/x", "/x", syscall.ENOENT))
	for _, c := range []struct {
		command *command
		err     error
		want    int
	}{
		{&runCommand, verdict, 127}, {&execCommand, errors.New("x"), 125}, {&createCommand, usageError("x"), 125},
		{&stateCommand, errors.New("x"), 1}, {nil, usageError("x"), 1},
	} {
		if got := exitStatus(c.command, c.err); got != c.want {
			t.Errorf("exitStatus(%v) = %d, want %d", c.err, got, c.want)
		}
	}
}

// TestLogEntry: podman reads the whole log as one object with these members;
// containerd's shim and dockerd the last entry whose level is "error".
func TestLogEntry(t *testing.T) {
	var entry struct {
		Level, Msg string
		Time       time.Time
	}
	message := "exec: \"a\\\"b\n\x01\xff\": no such file"
	if err := json.Unmarshal([]byte(jsonEntry("error", message, time.Unix(1, 0))), &entry); err != nil {
		t.Fatal(err)
	}
	if want := strings.ToValidUTF8(message, "\ufffd"); entry.Level != "error" || entry.Msg != want || entry.Time.Unix() != 1 {
		t.Errorf("%+v", entry)
	}
}

// TestVersion: podman takes the first line, dockerd the version and the lines
// "commit:" and "spec:".
func TestVersion(t *testing.T) {
	in := &invocation{program: "ostia"}
	first, rest, _ := strings.Cut(in.versionText(), "\n")
	if first != "ostia version "+version || !strings.Contains(rest, "spec: "+spec.Version+"\n") || strings.Contains(rest, "version") {
		t.Errorf("%q", in.versionText())
	}
}

func FuzzFlags(f *testing.F) {
	for _, line := range []string{"run -b x c", "--root=/r exec -tu 1:2 c ls -l", "kill -a c 9", "--help", "list -qf json", "run --bundel"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		in, err := parseCommandLine("ostia", strings.Split(line, " "))
		if err == nil && in.command != nil {
			if n := len(in.args); n < in.command.min || in.command.max >= 0 && n > in.command.max {
				t.Errorf("%q: %d arguments", line, n)
			}
		}
	})
}

// TestManPagesRender has mandoc, where it is installed, find nothing wrong.
func TestManPagesRender(t *testing.T) {
	mandoc, err := osexec.LookPath("mandoc")
	if err != nil {
		t.Skip("mandoc is not installed")
	}
	pages, _ := filepath.Glob("../../docs/man/*.1")
	out, err := osexec.Command(mandoc, append([]string{"-Tlint", "-Wwarning"}, pages...)...).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
