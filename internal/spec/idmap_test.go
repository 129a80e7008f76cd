package spec

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestIDMappings: what an option gives, and that the entry's own members go
// before it.
func TestIDMappings(t *testing.T) {
	container := Linux{UIDMappings: []IDMapping{{0, 1000, 1}, {1, 100000, 10}}, GIDMappings: []IDMapping{{0, 2000, 10}}}
	for _, c := range []struct{ option, uids, gids, err string }{
		{option: "idmap"},
		{option: "idmap="},
		{option: "idmap=uids=0-5-1#10-50-2;gids=0-7-3", uids: "[{0 5 1} {10 50 2}]", gids: "[{0 7 3}]"},
		{option: "ridmap=gids=0-7-3;uids=0-5-1", uids: "[{0 5 1}]", gids: "[{0 7 3}]"},
		{option: "idmap=uids=@0-3-4;gids=@5-0-1", uids: "[{0 100002 4}]", gids: "[{5 2000 1}]"},
		{option: "idmap=uids=@0-11-1;gids=0-0-1", err: "relative to an id"},
		{option: "idmap=uids=0-5;gids=0-0-1", err: `"uids=0-5" is no mapping`},
		{option: "idmap=uids=0-5-1-1", err: "is no mapping"},
		{option: "idmap=uids=0-5-4294967296", err: "is no mapping"},
		{option: "idmap=uids=", err: "is no mapping"},
		{option: "idmap=users=0-5-1", err: `"users=0-5-1" is not uids= or gids=`},
	} {
		m := Mount{Options: []string{"bind", c.option}}
		uids, gids, err := m.IDMappings(&container)
		if got := fmt.Sprint(uids); err == nil && c.err == "" && (got != "[]" || c.uids != "") && got != c.uids {
			t.Errorf("%s: uids %s, want %s", c.option, got, c.uids)
		}
		if got := fmt.Sprint(gids); err == nil && c.err == "" && (got != "[]" || c.gids != "") && got != c.gids {
			t.Errorf("%s: gids %s, want %s", c.option, got, c.gids)
		}
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", c.option, err, c.err)
		}
	}
	own := Mount{Options: []string{"idmap=uids=0-5-1;gids=0-5-1"}, UIDMappings: []IDMapping{{1, 2, 3}}, GIDMappings: []IDMapping{{4, 5, 6}}}
	if uids, gids, err := own.IDMappings(&container); err != nil || uids[0] != own.UIDMappings[0] || gids[0] != own.GIDMappings[0] {
		t.Error(uids, gids, err)
	}
}

// FuzzIDMappings: what is taken says what was meant: written anew it is the same.
func FuzzIDMappings(f *testing.F) {
	f.Add("0-1-10#10-11-10")
	f.Add("@0-3-4")
	f.Add("0-0-4294967295#-")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseIDMappings(text, []IDMapping{{0, 0, 1 << 31}})
		if err != nil {
			return
		}
		var parts []string
		for _, m := range list {
			parts = append(parts, fmt.Sprintf("%d-%d-%d", m.ContainerID, m.HostID, m.Size))
		}
		again, err := parseIDMappings(strings.Join(parts, "#"), nil)
		if err != nil || !slices.Equal(list, again) {
			t.Errorf("%q is %v, then %v, %v", text, list, again, err)
		}
	})
}
