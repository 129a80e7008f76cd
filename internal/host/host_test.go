package host

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCompareVersions(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"5.14.0-427.el9", "5.14", 0}, {"5.10.0-28-amd64", "5.14", -1}, {"6.1.0", "5.14", 1}, {"1.11.2", "1.12.0", -1}, {"1.12.0", "1.12.0", 0},
		{"1.9", "1.12.0", -1}, {"2", "1.12.0", 1}, {"unknown", "5.14", 0}, {"", "1", 0},
	} {
		if got := compareVersions(c.a, c.b); got < 0 != (c.want < 0) || got > 0 != (c.want > 0) {
			t.Errorf("%q and %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// TestKrun: a library is judged by its own version, not by its interface's.
func TestKrun(t *testing.T) {
	root := t.TempDir()
	for _, path := range []string{"usr/lib64/libkrun.so.1.12.3", "usr/lib64/libkrun.so.1", "usr/lib/x86_64-linux-gnu/libkrun.so.1.11.2", "usr/local/lib/libkrunfw.so.4.9"} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, path), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var e examination
	e.krun(root)
	var got []string
	for _, f := range e.list {
		got = append(got, string(f.Level)+" "+strings.TrimPrefix(f.Found, root)+" "+f.Advice[:min(5, len(f.Advice))])
	}
	if want := []string{"ok /usr/lib64/libkrun.so.1.12.3 ", "absent /usr/lib/x86_64-linux-gnu/libkrun.so.1.11.2 unfit"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestSubordinateIDs(t *testing.T) {
	path := t.TempDir() + "/subuid"
	text := "# a comment\nann:100000:65536\nbob:200000:65536\n1000:300000:10\nann:x:1\nann:1\nann:4294967296:1\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, want := SubordinateIDs(path, 1000, "ann"), []IDRange{{100000, 65536}, {300000, 10}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := SubordinateIDs(path+"no", 0, "root"); got != nil {
		t.Error(got)
	}
}

// TestUserBus: a bus is there if somebody answers, not if there is a file.
func TestUserBus(t *testing.T) {
	dir := t.TempDir()
	env := map[string]string{"XDG_RUNTIME_DIR": dir}
	u := &User{UID: 1000, Name: "ann", Getenv: func(name string) string { return env[name] }}
	level := func() Level {
		var e examination
		e.session(u)
		i := slices.IndexFunc(e.list, func(f Finding) bool { return f.Name == "user bus" })
		return e.list[i].Level
	}
	if got := level(); got != Absent {
		t.Errorf("without a bus: %s", got)
	}
	l, err := net.Listen("unix", dir+"/bus")
	if err != nil {
		t.Fatal(err)
	}
	if got := level(); got != OK {
		t.Errorf("with a bus: %s", got)
	}
	env = map[string]string{"DBUS_SESSION_BUS_ADDRESS": "tcp:host=x;unix:path=" + dir + "/bus,guid=1"}
	if got := level(); got != OK {
		t.Errorf("with its address: %s", got)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if got := level(); got != Absent {
		t.Errorf("after its end: %s", got)
	}
}

// TestExamine: everything is said once, and what is not well has a way out.
func TestExamine(t *testing.T) {
	for _, uid := range []int{0, 54321} {
		seen := make(map[string]bool)
		for _, f := range Examine(&User{UID: uid, Name: "nobody-here", Getenv: func(string) string { return "" }}) {
			if f.Found == "" || (f.Level == OK) != (f.Advice == "") || strings.Contains(f.Found+f.Advice, "\n") {
				t.Errorf("%+v", f)
			}
			if seen[f.Topic+f.Name] && f.Name != "libkrun" {
				t.Errorf("%s is said twice", f.Name)
			}
			seen[f.Topic+f.Name], seen[f.Name] = true, true
		}
		for _, name := range []string{"version", "user namespaces", "newuidmap", "system bus", "KVM", "CRIU"} {
			if !seen[name] {
				t.Errorf("nothing is said of %s", name)
			}
		}
	}
}
