package state

import (
	"reflect"
	"strings"
	"testing"
)

// A state file may hold anything: it is an error or a state that is the same
// after it has been written and read again.
func FuzzState(f *testing.F) {
	f.Add(string(example().encode()))
	f.Add(`{}`)
	f.Add(`{"id":"a","cgroup":{"v2":true,"dirs":[["","","/sys/fs/cgroup","/sys/fs/cgroup/a"]]}}`)
	f.Add(`{"cgroup":{"dirs":[["a"]]}}`)
	f.Add(`{"annotations":{"a":"b","a":"c"},"owner":-1}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := decode(text)
		if err != nil {
			return
		}
		b := s.encode()
		if strings.ContainsRune(string(b), '\n') {
			t.Fatalf("more than one line: %s", b)
		}
		again, err := decode(string(b))
		if err != nil {
			t.Fatalf("%v in %s", err, b)
		}
		if len(s.Annotations) == 0 {
			s.Annotations = nil // an empty object is not written
		}
		if !reflect.DeepEqual(s, again) {
			t.Fatalf("%+v\nbecame\n%+v\nby %s", s, again, b)
		}
	})
}

// A process chooses its own command, which is part of the line.
func FuzzStat(f *testing.F) {
	f.Add("sh", uint64(1), "")
	f.Add(") Z 1 2 3", uint64(1<<63), stat("x", 1))
	f.Fuzz(func(t *testing.T, command string, ticks uint64, text string) {
		if got, letter, err := parseStat(stat(command, ticks)); got != ticks || letter != 'S' || err != nil {
			t.Errorf("%q: %d %q %v", command, got, letter, err)
		}
		parseStat(text) // does not panic
	})
}
