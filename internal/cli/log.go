package cli

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"ostia/internal/container"
	"ostia/internal/file"
	"ostia/internal/json"

	"golang.org/x/sys/unix"
)

// checkLog refuses log flags that nothing could be made of.
func (in *invocation) checkLog() error {
	switch f := in.text("log-format"); f {
	case "", "text", "json":
	default:
		return usageError("--log-format " + f + ": unknown: use text or json")
	}
	switch l := in.text("log-level"); l {
	case "", "debug", "info", "warn", "warning", "error", "fatal", "panic", "trace":
	default:
		return usageError("--log-level " + l + ": unknown: use debug, info, warning or error")
	}
	if kind, _ := logKind(in.text("log")); kind == "" {
		return usageError("--log " + in.text("log") + ": unknown kind of log: use a path (./ before one with a colon), file:PATH, journald:NAME or syslog:NAME")
	}
	return nil
}

// logKind takes the words of --log apart, which are a path or begin with one of
// crun's prefixes. The kind is "" if there is no such kind.
func logKind(log string) (kind, to string) {
	kind, to, found := strings.Cut(log, ":")
	if !found || strings.Contains(kind, "/") {
		return "file", log
	}
	switch kind {
	case "file", "journald", "syslog":
		return kind, to
	}
	return "", log
}

// report says an error on standard error and in the log.
//
// An error gets exactly one entry of the log, in one write: podman parses the whole file
// as one object, containerd and dockerd take the last one whose level is
// "error". Standard error gets the same words, because conmon and go-runc hand
// them on when there is no log.
func (in *invocation) report(err error) {
	message := err.Error()
	if errors.Is(err, unix.EMFILE) { // of any call of any command
		message += ": " + container.AdviceDescriptors
	}
	in.say("error", message)
}

// warn says what has gone wrong without being a failure.
func (in *invocation) warn(err error) {
	switch in.text("log-level") {
	case "error", "fatal", "panic":
		if !in.is("debug") {
			return
		}
	}
	in.say("warning", err.Error())
}

// debug says a step: into the log if there is one, and else on standard error.
// A log that engines read has more than one entry then, as with runc.
func (in *invocation) debug(message string) {
	kind, log := logKind(in.text("log"))
	entry := textEntry("debug", message, time.Now())
	if in.text("log-format") == "json" {
		entry = jsonEntry("debug", message, time.Now())
	}
	switch {
	case kind == "journald" || kind == "syslog":
		_ = in.tellDaemon(kind, log, "debug", message)
	case log != "":
		_ = appendTo(log, entry) // an error says so of its own
	default:
		_ = file.WriteAll(2, entry)
	}
}

func (in *invocation) say(level, message string) {
	asJSON := in.text("log-format") == "json"
	kind, log := logKind(in.text("log"))
	switch {
	case kind == "journald" || kind == "syslog":
		if err := in.tellDaemon(kind, log, level, message); err != nil {
			message += "\n--log " + kind + ":" + log + ": " + err.Error()
		}
		message += "\n"
	case log != "":
		entry := textEntry(level, message, time.Now())
		if asJSON {
			entry = jsonEntry(level, message, time.Now())
		}
		if err := appendTo(log, entry); err != nil {
			message += "\n--log " + log + ": " + err.Error()
		}
		message += "\n"
	case asJSON:
		message = jsonEntry(level, message, time.Now())
	case level == "warning":
		message = in.program + ": warning: " + message + "\n"
	default:
		message = in.program + ": " + message + "\n"
	}
	_ = file.WriteAll(2, message) // there is nowhere left to complain
}

// jsonEntry is a line as logrus writes it for runc.
func jsonEntry(level, message string, now time.Time) string {
	e := json.NewEncoder("")
	e.Object(func() {
		e.Key("level").String(level)
		e.Key("msg").String(message)
		e.Key("time").String(now.UTC().Format(time.RFC3339))
	})
	return string(e.Bytes()) + "\n"
}

// textEntry is a line as logrus writes it for runc.
func textEntry(level, message string, now time.Time) string {
	return `time="` + now.UTC().Format(time.RFC3339) + `" level=` + level + ` msg=` + strconv.Quote(message) + "\n"
}

// appendTo writes the entry with one write(2), so that entries of several
// processes on one file do not mix.
func appendTo(path, entry string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND|unix.O_CLOEXEC|unix.O_NOCTTY, 0o644)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return file.WriteAll(fd, entry)
}

// tellDaemon sends one entry to the journal (systemd's native protocol) or to
// syslog(3), under a name.
func (in *invocation) tellDaemon(kind, name, level, message string) error {
	const user = 1 << 3 // LOG_USER
	priority := 3       // LOG_ERR
	switch level {
	case "warning":
		priority = 4
	case "debug":
		priority = 7
	}
	if name == "" {
		name = in.program
	}
	message = strings.ReplaceAll(message, "\n", " ")
	socket, entry := "/dev/log", "<"+strconv.Itoa(user|priority)+">"+name+": "+message
	if kind == "journald" {
		socket = "/run/systemd/journal/socket"
		entry = "MESSAGE=" + message + "\nPRIORITY=" + strconv.Itoa(priority) + "\nSYSLOG_IDENTIFIER=" + name + "\n"
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, []byte(entry), 0, &unix.SockaddrUnix{Name: socket})
}

// print writes to standard output. A full disk or a closed pipe is an error:
// half a state must not look like success.
func print(s string) error {
	if err := file.WriteAll(1, s); err != nil {
		return &failure{"standard output", err}
	}
	return nil
}

// failure is something that the system refused.
type failure struct {
	what string
	err  error
}

func (e *failure) Error() string { return e.what + ": " + e.err.Error() }
func (e *failure) Unwrap() error { return e.err }
