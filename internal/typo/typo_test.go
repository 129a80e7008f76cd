package typo

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	words := func(yield func(string) bool) {
		for _, w := range []string{"bundle", "pid-file", "env", "detach", "no-pivot"} {
			if !yield(w) {
				return
			}
		}
	}
	for typed, want := range map[string]string{"bundel": "bundle", "pidfile": "pid-file", "bund": "bundle", "evn": "env", "x": "", "": "",
		"quite-other": "", "detahc": "detach", "nopivot": "no-pivot", strings.Repeat("b", 1000): ""} {
		if got := Nearest(typed, words); got != want {
			t.Errorf("%q is near %q, want %q", typed, got, want)
		}
	}
}
