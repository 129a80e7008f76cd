package seccomp

import (
	"encoding/json"
	"os"
	"testing"

	"ostia/internal/spec"
)

// docker is Docker's default profile for amd64 with its default capabilities.
func docker(t testing.TB) *spec.Seccomp {
	text, err := os.ReadFile("testdata/docker-default.json")
	if err != nil {
		t.Fatal(err)
	}
	s := new(spec.Seccomp)
	if err := json.Unmarshal(text, s); err != nil {
		t.Fatal(err)
	}
	return s
}

func BenchmarkCompileDocker(b *testing.B) {
	s := docker(b)
	b.ReportAllocs()
	for b.Loop() {
		f, err := Compile(s, "amd64")
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(f.Program)/instructionSize), "instructions")
	}
}
