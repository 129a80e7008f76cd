package cli

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"ostia/internal/program"
)

func TestSignals(t *testing.T) {
	for name, want := range map[string]syscall.Signal{
		"TERM": syscall.SIGTERM, "SIGTERM": syscall.SIGTERM, "sigkill": syscall.SIGKILL, "15": 15, "0": 0, "SYS": syscall.SIGSYS,
		"HUP": syscall.SIGHUP, "IOT": syscall.SIGABRT, "CLD": syscall.SIGCHLD, "POLL": syscall.SIGIO, "WINCH": syscall.SIGWINCH,
		"RTMIN": 34, "SIGRTMIN+3": 37, "RTMAX": 64, "rtmax-1": 63, "64": 64,
	} {
		if got, err := signalNamed(name); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", name, got, err, want)
		}
	}
	for _, name := range []string{"", "SIG", "65", "-1", "NOSUCH", "RTMIN+31", "RTMAX-31", "RTMIN-1", "RTMAX+1", "RTMIN+", "RTMIN+x"} {
		if got, err := signalNamed(name); err == nil {
			t.Errorf("%q is signal %d", name, got)
		}
	}
}

func TestLinesOf(t *testing.T) {
	got, err := linesOf("USER   PID  CMD\nroot     1 init\nroot    12 sh -c 1\nroot     - thread\nshort\nx     112 y", []int{12, 112})
	if want := "USER   PID  CMD\nroot    12 sh -c 1\nx     112 y\n"; err != nil || got != want {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := linesOf("USER CMD\n", nil); err != errNoPID {
		t.Error(err)
	}
}

// TestMatching: the expression is POSIX's, found anywhere in the id; an invalid
// one is an error and no match is none.
func TestMatching(t *testing.T) {
	grep := func(expression string) (string, error) {
		return outputOf("grep", []string{"-E", "-e", expression}, "web-1\nweb-2\ndb\n")
	}
	if got, err := grep("^web-[0-9]+$"); err != nil || got != "web-1\nweb-2\n" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := grep("-2|d"); err != nil || got != "web-2\ndb\n" {
		t.Errorf("%q, %v", got, err)
	}
	var failed *programError
	if _, err := grep("none"); !errors.As(err, &failed) || failed.status.ExitStatus() != 1 {
		t.Error(err)
	}
	if _, err := grep("("); !errors.As(err, &failed) || failed.status.ExitStatus() != 2 || strings.Contains(err.Error(), "\n") {
		t.Error(err)
	}
}

func TestProgramNotInstalled(t *testing.T) {
	t.Setenv("PATH", t.TempDir()+"::/nonexistent")
	if _, err := outputOf("no-such-program", nil, ""); !errors.Is(err, program.ErrNotFound) {
		t.Error(err)
	}
}

// TestReport runs commands that fail as a process would and reads what conmon,
// podman and containerd would.
func TestReport(t *testing.T) {
	log := t.TempDir() + "/log"
	stderr := func(line string) (said string, status int) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		saved, err := syscall.Dup(2)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Dup3(int(w.Fd()), 2, 0); err != nil {
			t.Fatal(err)
		}
		status = Main(append([]string{"ostia"}, strings.Fields(line)...), nil)
		_ = syscall.Dup3(saved, 2, 0)
		_ = syscall.Close(saved)
		w.Close()
		b := make([]byte, 4096)
		n, _ := r.Read(b)
		r.Close()
		return string(b[:n]), status
	}
	said, status := stderr("--root " + t.TempDir() + " --log " + log + " --log-format json run --bundle /nonexistent c")
	var entry struct{ Level, Msg, Time string }
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	strict(t, string(text), &entry)
	if status != 125 || entry.Level != "error" || entry.Msg+"\n" != said || !strings.Contains(said, "/nonexistent") {
		t.Errorf("status %d, log %s, standard error %q", status, text, said)
	}
	stderr("--log " + log + " state --bogus c") // a second entry follows the first
	if both, _ := os.ReadFile(log); !strings.HasPrefix(string(both), string(text)+"time=\"") {
		t.Errorf("log %q", both)
	}
	said, status = stderr("--root " + t.TempDir() + " state c")
	if status != 1 || !strings.HasPrefix(said, "ostia: ") || !strings.Contains(said, "does not exist") {
		t.Errorf("status %d, standard error %q", status, said)
	}
	said, _ = stderr("--log /nonexistent/log --log-format json state --bogus c")
	if !strings.Contains(said, "unknown flag --bogus") || !strings.Contains(said, "--log /nonexistent/log: no such file or directory") {
		t.Errorf("standard error %q", said)
	}
}
