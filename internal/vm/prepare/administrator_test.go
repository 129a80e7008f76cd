package prepare

import (
	"strings"
	"testing"
)

func TestAdministratorsKernel(t *testing.T) {
	for text, want := range map[string]string{
		`{"kernel": "/boot/vmlinuz"}`: "/boot/vmlinuz",
		`{}`:                          "",
		`{"kernel": "vmlinuz"}`:       "not an absolute path",
		`{"kernle": "/boot/vmlinuz"}`: `unknown field "kernle"`,
		`{"kernel": 1}`:               "cannot unmarshal number",
		`{} {}`:                       "something follows",
		``:                            "EOF",
	} {
		path, err := kernelIn([]byte(text))
		if err != nil {
			path = err.Error()
		}
		if err == nil && path != want || !strings.Contains(path, want) {
			t.Errorf("%s: %q, want %q", text, path, want)
		}
	}
}
