package container

import (
	"reflect"
	"testing"
)

// A report may hold anything: it is an error, or the same after it has been
// written and read again.
func FuzzReport(f *testing.F) {
	r := Report{Command: "run", Time: "2026-01-02T03:04:05Z", Message: "x\n\"", Status: 137, OOMKills: 1 << 63, Output: "\x1b[1m"}
	f.Add(string(r.encode()))
	f.Add(`{"status":-1,"more":[{}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := decodeReport(text)
		if err != nil {
			return
		}
		again, err := decodeReport(string(r.encode()))
		if err != nil || !reflect.DeepEqual(r, again) {
			t.Errorf("%+v became %+v, %v", r, again, err)
		}
	})
}
