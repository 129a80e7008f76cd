package spec

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ostia/internal/json"
)

// TestUnknown: what the specification does not have is named with what was
// meant.
func TestUnknown(t *testing.T) {
	text := `{"ociVersion":"1.3.0","Process":{},"process":{"noNewPriviliges":true,"user":{"uuid":1,"uid":1}},"annotations":{"any":"thing"},
"mounts":[{"destination":"/a","option":[]}],"linux":{"timeOffsets":{"boottime":{"sec":1}},"resources":{"unified":{"a.b":"c"},"memory":{"limt":1}},
"seccomp":{"syscalls":[{"args":[{"val":1}]}]}},"x-vendor":{"a":{"b":[1]}},"hooks":{"postStart":[]}}`
	var got []string
	for _, err := range Unknown(text) {
		e := err.(*json.Error)
		_, meant, _ := strings.Cut(e.Reason, "did you mean ")
		got = append(got, e.Pointer+"="+strings.TrimSuffix(meant, "?"))
	}
	want := []string{
		"Process=process", "process.noNewPriviliges=noNewPrivileges", "process.user.uuid=uid", "mounts[0].option=options",
		"linux.timeOffsets.boottime.sec=secs", "linux.resources.memory.limt=limit", "linux.seccomp.syscalls[0].args[0].val=value",
		"x-vendor=", "hooks.postStart=poststart",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	for _, text := range []string{string(Default(false, true, 0, 0)), string(Default(true, false, 1, 1))} {
		if list := Unknown(text); len(list) > 0 {
			t.Error(list)
		}
	}
}

// TestLayout: the decoder knows every member of the layout that is not listed
// here, and no other.
func TestLayout(t *testing.T) {
	list, _ := parseLayout(strings.TrimPrefix(layout, "\n"), 0)
	unread := make(map[string]bool)
	inLayout := make(map[string]bool)
	var walk func(before, after, path string, list []*known)
	walk = func(before, after, path string, list []*known) {
		for _, m := range list {
			inLayout[m.name] = true
			// Every member is an object, an array or a plain value: two of three are refused.
			refused := false
			for _, value := range []string{`[[{}]]`, `{"x":[[]]}`, `"x"`} {
				_, errs := Problems(before + `"` + m.name + `":` + value + after)
				for _, err := range errs {
					e, ok := err.(*json.Error)
					refused = refused || ok && strings.Contains(e.Pointer, m.name)
				}
			}
			name := strings.TrimPrefix(path+"."+m.name, ".")
			if !refused {
				unread[name] = true
			}
			for _, open := range []string{`{`, `[{`} {
				end := strings.NewReplacer("{", "}", "[{", "}]").Replace(open)
				_, errs := Problems(before + `"` + m.name + `":` + open + end + after)
				if len(m.below) > 0 && !slices.ContainsFunc(errs, func(err error) bool {
					e, ok := err.(*json.Error)
					return ok && strings.HasSuffix(e.Pointer, m.name)
				}) {
					walk(before+`"`+m.name+`":`+open, end+after, name, m.below)
					break
				}
			}
		}
	}
	walk("{", "}", "", list)
	ignored := []string{"vm", "solaris", "windows", "zos", "freebsd", "process.commandLine", "process.user.username"}
	for name := range unread {
		if !slices.Contains(ignored, name) {
			t.Errorf("the decoder does not know %s", name)
		}
	}
	for _, name := range ignored {
		if !unread[name] {
			t.Errorf("the decoder knows %s", name)
		}
	}

	files, err := filepath.Glob("decode*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	member := regexp.MustCompile(`(?m)^\s+case ((?:"\w+"(?:, )?)+):\n\s+\w*[.\w]*\.?\w* ?`)
	values := []string{"LINUX", "LINUX32", "c", "u", "b", "p", "a"}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range member.FindAllSubmatch(text, -1) {
			for name := range strings.SplitSeq(string(m[1]), ", ") {
				if name = strings.Trim(name, `"`); !inLayout[name] && !slices.Contains(values, name) {
					t.Errorf("%s knows %s, which the layout has not", file, name)
				}
			}
		}
	}
}
