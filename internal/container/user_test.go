package container

import "testing"

func FuzzUser(f *testing.F) {
	for _, s := range []string{"0", "1000:1000", "4294967295:0", "-1", "1:", ":1", "root", "1:2:3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := parseUser(s)
		if err != nil && (u.UID != 0 || u.GID != 0) {
			t.Errorf("%q: %v and %v", s, u, err)
		}
	})
}

func TestUser(t *testing.T) {
	for s, want := range map[string][2]uint32{"0": {0, 0}, "7": {7, 0}, "1000:50": {1000, 50}, "4294967295:1": {1<<32 - 1, 1}} {
		if u, err := parseUser(s); err != nil || u.UID != want[0] || u.GID != want[1] {
			t.Errorf("parseUser(%q) = %v, %v", s, u, err)
		}
	}
	for _, s := range []string{"", "root", "1:", "-1", "1:x", "4294967296", "1:2:3", " 1"} {
		if _, err := parseUser(s); err == nil {
			t.Errorf("parseUser(%q) accepts it", s)
		}
	}
}
