package cgroup

import (
	"os"
	"strconv"
	"testing"

	"ostia/internal/spec"
)

func BenchmarkResolve(b *testing.B) {
	for range b.N {
		if _, err := Resolve("", "ostia-bench"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLife is what create and delete pay for a cgroup with no limits.
func BenchmarkLife(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("needs root")
	}
	g, err := Resolve("/ostia-bench-"+strconv.Itoa(os.Getpid()), "id")
	if err != nil {
		b.Fatal(err)
	}
	for range b.N {
		if err := g.Create(&spec.Resources{}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := g.Remove(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
