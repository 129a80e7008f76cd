package spec

import (
	"strings"
	"testing"
)

// TestProblems: all that is wrong is said at once, each once, and the first is
// what Decode or Validate says.
func TestProblems(t *testing.T) {
	text := `{"ociVersion":"1.3.0","process":{"args":"sh","cwd":"tmp","terminal":1,"rlimits":[{"type":"RLIMIT_NOFILE","soft":2,"hard":1}],
"oomScoreAdj":5000},"root":{"path":"r","path":"s"},"hostname":"x","mounts":[{"destination":"/a"},{"destination":""}],"annotations":{"run.oci.pidfd_receiver":"x"},
"linux":{"namespaces":[{"type":"mnt"}],"resources":{"memory":{"limit":1.5},"pids":{"limit":99999999999999999999}}}}`
	s, list := Problems(text)
	if s == nil {
		t.Fatal(list)
	}
	var got []string
	for _, err := range list {
		got = append(got, err.Error())
	}
	want := []string{
		"process.args: expected an array, found a string (line 1, column 41)",
		"process.terminal: expected true or false, found a number (line 1, column 69)",
		"root.path: duplicate member (line 2, column 40)",
		`linux.namespaces[0].type: unknown kind "mnt": use pid, network, mount, ipc, uts, user, cgroup or time (line 3, column 32)`,
		"linux.resources.memory.limit: expected a whole number, found 1.5 (line 3, column 71)",
		"linux.resources.pids.limit: 99999999999999999999 is out of range (64 bits) (line 3, column 92)",
		`annotations.run.oci.pidfd_receiver: "x" is not an absolute path`,
		`process.cwd: "tmp" is not an absolute path: begin it with a slash`,
		"process.oomScoreAdj: 5000 is not between -1000 and 1000",
		"process.rlimits[0]: the soft limit of RLIMIT_NOFILE is above the hard limit",
		"hostname: needs a uts namespace of the container's own: it would rename the host (add {\"type\": \"uts\"} to linux.namespaces)",
		"mounts[1].destination: is empty, or a path holds a NUL byte",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if _, err := Decode(text); err == nil || err.Error() != want[0] {
		t.Error(err)
	}
	if s, list := Problems(string(Default(true, true, 1000, 1000))); s == nil || len(list) > 0 {
		t.Error(list)
	}
	if s, list := Problems("{"); s != nil || len(list) != 1 {
		t.Error(list)
	}
}

// FuzzProblems: no configuration is refused that has no problem, and none is
// taken that has one.
func FuzzProblems(f *testing.F) {
	f.Add(string(Default(false, true, 0, 0)))
	f.Add(string(Default(true, false, 1, 1)))
	f.Add(`{"process":{"args":[1,"a"],"cwd":"/"},"root":{},"linux":{"seccomp":{"syscalls":[{"args":[{}]}]},"sysctl":{"a..b":""}},"a":1,"a":2}`)
	f.Fuzz(func(t *testing.T, text string) {
		_, list := Problems(text)
		s, err := Decode(text)
		if err == nil {
			err = s.Validate()
		}
		if (err == nil) != (len(list) == 0) {
			t.Errorf("%v, but %v", err, list)
		}
		if err != nil && err.Error() != list[0].Error() {
			t.Errorf("%v first, but %v", err, list)
		}
	})
}
