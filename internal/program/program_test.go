package program

import (
	"os"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	long := strings.Repeat("x", 1<<20) // more than a pipe holds
	p := Program{Path: "/bin/sh", Args: []string{"sh", "-c", "cat; echo $A >&2; pwd; exit 3"}, Env: []string{"A=b"}, Dir: "/usr", Stdin: long}
	out, status, err := p.Run()
	if err != nil || status.ExitStatus() != 3 || out != long+"b\n/usr\n" {
		t.Errorf("%d bytes, %v, %v", len(out), status, err)
	}
	if said := Ended(status, out); !strings.HasPrefix(said, "exit status 3: ...x") || !strings.HasSuffix(said, "xb /usr") || len(said) > 320 {
		t.Errorf("%q", said)
	}
}

func TestRunTimeout(t *testing.T) {
	seconds := 1
	p := Program{Path: "/bin/sh", Args: []string{"sh", "-c", "echo waiting; exec sleep 1000"}, Timeout: &seconds}
	out, status, err := p.Run()
	if err != ErrTimeout || out != "waiting\n" || Ended(status, "") != "signal 9 (killed)" {
		t.Errorf("%q, %v, %v", out, status, err)
	}
}

// TestFind: a working directory, which may be a bundle, is never searched.
func TestFind(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"mine", "sh"} {
		if err := os.WriteFile(name, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", ":.:"+t.TempDir())
	if path, err := Find("mine"); err != ErrNotFound {
		t.Error(path, err)
	}
	if path, err := Find("sh"); path != "/usr/bin/sh" || err != nil {
		t.Error(path, err)
	}
	t.Setenv("PATH", dir)
	if path, err := Find("mine"); path != dir+"/mine" || err != nil {
		t.Error(path, err)
	}
}

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"two\nlines\n":                         "two lines",
		"red \x1b[31m, \u009b31m, \x9b":        "red  [31m,  31m,  ",
		"turned \u202e, broken \u2028, kept é": "turned  , broken  , kept é",
		strings.Repeat("é", 200):               "..." + " " + strings.Repeat("é", 148),
	} {
		if got := OneLine(in); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
