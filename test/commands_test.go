package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// bundle DIR [ARG...] makes a bundle in DIR: busybox as its root file system,
// the runtime's own `spec` as its configuration, without a terminal. ARGs
// become process.args.
func bundle(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: bundle DIR [ARG...]")
	}
	dir := ts.MkAbs(args[0])
	rootfs := filepath.Join(dir, "rootfs")
	for _, d := range []string{"bin", "dev", "etc", "proc", "root", "sys", "tmp", "usr", "var"} {
		ts.Check(os.MkdirAll(filepath.Join(rootfs, d), 0o755))
	}
	busybox := busyboxPath(ts)
	program, err := os.ReadFile(busybox)
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(rootfs, "bin", "busybox"), program, 0o755))
	applets, err := exec.Command(busybox, "--list").Output()
	ts.Check(err)
	for name := range strings.FieldsSeq(string(applets)) {
		if name != "busybox" {
			ts.Check(os.Symlink("busybox", filepath.Join(rootfs, "bin", name)))
		}
	}
	ts.Check(os.WriteFile(filepath.Join(rootfs, "etc", "passwd"), []byte("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n"), 0o644))
	ts.Check(os.WriteFile(filepath.Join(rootfs, "etc", "group"), []byte("root:x:0:\nuser:x:1000:\n"), 0o644))
	ts.Check(ts.Exec(ts.Getenv("RUNTIME"), "spec", "--bundle", dir))
	edit(ts, filepath.Join(dir, "config.json"), "/process/terminal", false)
	if len(args) > 1 {
		edit(ts, filepath.Join(dir, "config.json"), "/process/args", args[1:])
	}
}

// busyboxPath is a static busybox: BUSYBOX, or the one on the PATH.
func busyboxPath(ts *testscript.TestScript) string {
	if path := os.Getenv("BUSYBOX"); path != "" {
		return path
	}
	path, err := exec.LookPath("busybox")
	ts.Check(err)
	return path
}

// config DIR POINTER VALUE sets a field of a bundle's config.json. VALUE is
// JSON; what does not parse is a string. A last "-" in POINTER appends to an
// array. @FILE is the JSON in a file. Without VALUE the field is removed.
func config(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: config DIR POINTER [VALUE]")
	}
	path := filepath.Join(ts.MkAbs(args[0]), "config.json")
	if len(args) == 2 {
		edit(ts, path, args[1], removed{})
		return
	}
	value := args[2]
	if file, ok := strings.CutPrefix(value, "@"); ok {
		value = ts.ReadFile(file)
	}
	edit(ts, path, args[1], parsed(value))
}

func parsed(text string) any {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil || d.More() {
		return text
	}
	return v
}

// removed as a value removes the field.
type removed struct{}

func edit(ts *testscript.TestScript, path, pointer string, value any) {
	data, err := os.ReadFile(path)
	ts.Check(err)
	doc := parsed(string(data))
	doc, err = set(doc, strings.Split(pointer, "/")[1:], value)
	if err != nil {
		ts.Fatalf("%s %s: %v", path, pointer, err)
	}
	data, err = json.MarshalIndent(doc, "", "\t")
	ts.Check(err)
	ts.Check(os.WriteFile(path, data, 0o644))
}

func set(doc any, keys []string, value any) (any, error) {
	if len(keys) == 0 {
		return value, nil
	}
	key := strings.NewReplacer("~1", "/", "~0", "~").Replace(keys[0])
	if list, ok := doc.([]any); ok {
		i, err := strconv.Atoi(key)
		if key == "-" {
			i, err = len(list), nil
			list = append(list, nil)
		}
		if err != nil || i < 0 || i >= len(list) {
			return nil, errors.New("no element " + key)
		}
		if _, gone := value.(removed); gone && len(keys) == 1 {
			return append(list[:i:i], list[i+1:]...), nil
		}
		list[i], err = set(list[i], keys[1:], value)
		return list, err
	}
	object, ok := doc.(map[string]any)
	if !ok {
		if doc != nil {
			return nil, errors.New("no object above " + key)
		}
		if object = map[string]any{}; key == "-" {
			return set([]any{}, keys, value)
		}
	}
	if _, gone := value.(removed); gone && len(keys) == 1 {
		delete(object, key)
		return object, nil
	}
	var err error
	object[key], err = set(object[key], keys[1:], value)
	return object, err
}

// json FILE POINTER [PATTERN] takes a field of a JSON file, or of "stdout",
// prints it and, with PATTERN, requires that it matches.
func jsonValue(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: [!] json FILE POINTER [PATTERN]")
	}
	text := ts.ReadFile(args[0])
	value, found := parsed(text), true
	for _, key := range strings.Split(args[1], "/")[1:] {
		key = strings.NewReplacer("~1", "/", "~0", "~").Replace(key)
		switch v := value.(type) {
		case map[string]any:
			value, found = v[key]
		case []any:
			i, err := strconv.Atoi(key)
			if found = err == nil && i < len(v); found {
				value = v[i]
			}
		default:
			found = false
		}
		if !found {
			break
		}
	}
	shown, isString := value.(string)
	if !isString {
		b, err := json.Marshal(value)
		ts.Check(err)
		shown = string(b)
	}
	ok := found
	if ok && len(args) == 3 {
		ok = regexp.MustCompile(`^(?:` + args[2] + `)$`).MatchString(shown)
	}
	if ok == neg {
		ts.Fatalf("%s: found=%v %s, in\n%s", args[1], found, shown, text)
	}
	ts.Logf("[json] %s", shown)
}

// ostia [>FILE] ARG... runs the runtime under test. It differs from `exec
// ostia` in that it does not wait for a detached container's output to end.
// The container's output goes to FILE, or is what the command printed.
func ostia(ts *testscript.TestScript, neg bool, args []string) {
	err := runtimeCommand(ts, nil, args)
	if (err != nil) != neg {
		ts.Fatalf("ostia %s: %v", strings.Join(args, " "), err)
	}
}

// status N [>FILE] ARG... is like ostia and requires the exit status N.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := runtimeCommand(ts, nil, args[1:]); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Check(err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// runtimeCommand runs the runtime with its output in files: a pipe would stay
// open as long as a detached container lives. prefix goes before it.
func runtimeCommand(ts *testscript.TestScript, prefix, args []string) error {
	dir, err := os.MkdirTemp(ts.Getenv("WORK"), ".out-")
	ts.Check(err)
	ts.Check(os.Chmod(dir, 0o755))
	stdout, stderr := filepath.Join(dir, "stdout"), filepath.Join(dir, "stderr")
	if len(args) > 0 && strings.HasPrefix(args[0], ">") {
		stdout, args = ts.MkAbs(args[0][1:]), args[1:]
	}
	const script = `out=$1 err=$2; shift 2; exec timeout --foreground -k 5 60 "$@" >"$out" 2>"$err"`
	argv := append([]string{"-c", script, "sh", stdout, stderr}, prefix...)
	// Not by the ostia on the PATH, a shell script: a guest is slow.
	argv = append(append(argv, ts.Getenv("RUNTIME"), "--root", ts.Getenv("ROOT")), args...)
	err = ts.Exec("sh", argv...)
	for _, f := range []struct {
		path string
		to   interface{ Write([]byte) (int, error) }
	}{{stdout, ts.Stdout()}, {stderr, ts.Stderr()}} {
		data, readErr := os.ReadFile(f.path)
		ts.Check(readErr)
		f.to.Write(data)
	}
	return err
}

// until PATTERN PROGRAM [ARG...] runs a program again and again, for at most
// a minute, until its output matches: an emulated guest is slow.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: [!] until PATTERN PROGRAM [ARG...]")
	}
	pattern := regexp.MustCompile(`(?m)` + args[0])
	pause := 20 * time.Millisecond
	if os.Getenv("OSTIA_GUEST") != "" {
		pause *= 5 // what is waited for needs the processor that this takes
	}
	var out []byte
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(pause) {
		cmd := exec.Command(args[1], args[2:]...)
		cmd.Path, _ = exec.LookPath(args[1])
		if own := filepath.Join(ts.Getenv("WORK"), ".bin", args[1]); fileExists(own) {
			cmd.Path, cmd.Err = own, nil
		}
		cmd.Dir = ts.MkAbs(".")
		out, _ = cmd.CombinedOutput()
		if pattern.Match(out) != neg {
			ts.Stdout().Write(out)
			return
		}
	}
	ts.Fatalf("after a minute still:\n%s", bytes.TrimSpace(out))
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
