package cgroup

import (
	"strings"
	"testing"

	"ostia/internal/spec"
)

func FuzzMembership(f *testing.F) {
	f.Add("9:name=systemd:/\n4:memory:/a:b\n0::/user.slice\n")
	f.Add("0::/../../x\n::/\n1::/a\n:cpu:/")
	f.Fuzz(func(t *testing.T, text string) {
		for _, m := range parseMembership(text) {
			if !strings.HasPrefix(m.path, "/") || strings.Contains(m.controllers, ":") || !strings.Contains(text, ":"+m.controllers+":"+m.path) {
				t.Errorf("%+v", m)
			}
		}
		if parent := clean(unifiedMembership(text) + "/.."); !strings.HasPrefix(parent, "/") || strings.Contains(parent+"/", "/../") {
			t.Errorf("the cgroup beside is %q", parent)
		}
	})
}

func FuzzDevicesList(f *testing.F) {
	f.Add("c 1:3 rwm")
	f.Add("b *:* m")
	f.Fuzz(func(t *testing.T, line string) {
		if rule := excess(line, compileRules(nil).rules); rule != "" && !strings.HasPrefix(line, rule[:strings.LastIndexByte(rule, ' ')]) {
			t.Errorf("%q has the excess %q", line, rule)
		}
	})
}

func TestClean(t *testing.T) {
	for path, want := range map[string]string{
		"": "/", "/": "/", "a": "/a", "/a//b/./c/": "/a/b/c", "../../a": "/a", "a/../../b": "/b", "/..": "/", "...": "/...",
	} {
		if got := clean(path); got != want {
			t.Errorf("%q became %q, want %q", path, got, want)
		}
	}
}

func TestBelow(t *testing.T) {
	for _, c := range [][3]string{
		{"/docker/a/b", "/docker/a", "/b"}, {"/docker/a", "/docker/a", "/"}, {"/docker/ab", "/docker/a", "/"},
		{"/x", "/", "/x"}, {"/../x", "/", "/x"}, {"/", "/..", "/"},
	} {
		if got := below(c[0], c[1]); got != c[2] {
			t.Errorf("%s below %s is %s, want %s", c[0], c[1], got, c[2])
		}
	}
}

// The values of runc's curve and of runc's and crun's swap rule.
func TestConversions(t *testing.T) {
	for shares, want := range map[uint64]uint64{1: 1, 2: 1, 3: 2, 512: 59, 1024: 100, 2048: 174, 102400: 4429, 262144: 10000, 1 << 40: 10000} {
		if got := Weight(shares); got != want {
			t.Errorf("%d shares are weight %d, want %d", shares, got, want)
		}
	}
	for weight, want := range map[uint16]uint64{10: 1, 100: 910, 500: 4950, 1000: 10000} {
		if got := IOWeight(weight); got != want {
			t.Errorf("weight %d is %d, want %d", weight, got, want)
		}
	}
	for _, c := range []struct {
		limit, swap int64
		want        int64
		limited     bool
		fails       bool
	}{
		{100, 300, 200, true, false}, {100, 100, 0, true, false}, {100, -1, -1, true, false}, {100, 0, 0, false, false},
		{-1, 0, -1, true, false}, {-1, 50, 50, true, false}, {0, 50, 0, false, true}, {100, 50, 0, false, true}, {0, 0, 0, false, false},
	} {
		if got, limited, err := SwapLimit(&spec.Memory{Limit: &c.limit, Swap: &c.swap}); got != c.want || limited != c.limited || (err != nil) != c.fails {
			t.Errorf("memory %d and swap %d are %d, %v, %v", c.limit, c.swap, got, limited, err)
		}
	}
}
