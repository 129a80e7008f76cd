package resctrl

import (
	"errors"
	"os"
	"strings"
	"testing"

	"ostia/internal/spec"
)

func TestHasSchema(t *testing.T) {
	const text = "    L3:0=7ff;1=00f\n    MB:0= 20;1=100\nL3CODE:0=1\n"
	for line, want := range map[string]bool{
		"L3:0=7ff;1=f": true, "L3:1=00F": true, "L3:0=0x7ff": true, "MB:0=20;1=100": true, "L3CODE:0=1": true,
		"L3:0=7f": false, "L3:2=f": false, "MB:0=30": false, "L2:0=1": false, "L3": false, "L3:": false, "L3:0": false,
	} {
		if hasSchema(text, line) != want {
			t.Errorf("%s: %v", line, !want)
		}
	}
}

// TestGroups states which folders belong to whom. No machine of ours has the
// hardware: the folder stands in for the file system, which would fill new
// groups with files.
func TestGroups(t *testing.T) {
	root := t.TempDir()
	group := func(name string) {
		t.Helper()
		for _, err := range []error{os.MkdirAll(root+"/"+name+"/mon_groups", 0o755), os.WriteFile(root+"/"+name+"/schemata", []byte("L3:0=f\n"), 0o644)} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	group("shared")
	shared, slash := "shared", "/"
	missing := "missing"
	for _, c := range []struct {
		name    string
		rdt     spec.IntelRdt
		pointer string // refused there
		text    string
	}{
		{"one that is as it should be", spec.IntelRdt{ClosID: &shared, L3CacheSchema: "L3:0=f", Monitoring: true}, "", ""},
		{"one that is not", spec.IntelRdt{ClosID: &shared, Schemata: []string{"L3:0=f", "L3:0=7"}}, "linux.intelRdt", `its schemata are not "L3:0=7"`},
		{"one that is not there", spec.IntelRdt{ClosID: &missing}, "linux.intelRdt.closID", "does not exist: make and configure it first"},
		{"the root's", spec.IntelRdt{ClosID: &slash}, "", ""},
		{"one's own", spec.IntelRdt{}, "", ""},
		{"one's own with a line that nobody takes", spec.IntelRdt{MemBwSchema: "MB:0=10"}, "linux.intelRdt", `write "MB:0=10" to ` + root},
	} {
		g := newGroup(root, &c.rdt, "box")
		err := g.Create()
		var refused *spec.Error
		if c.pointer == "" && err != nil || c.pointer != "" && (!errors.As(err, &refused) || refused.Pointer != c.pointer || !strings.Contains(err.Error(), c.text)) {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.pointer == "" {
			if err := g.Remove(); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		left, _ := os.ReadDir(root)
		monitors, _ := os.ReadDir(root + "/shared/mon_groups")
		if len(left) != 1 || len(monitors) != 0 {
			t.Errorf("%s: left %v %v", c.name, left, monitors)
		}
	}
	group("box")
	if err := newGroup(root, &spec.IntelRdt{}, "box").Create(); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("somebody else's group: %v", err)
	}
}

func TestStats(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"schemata": "    L3:0=fff;1=fff\n    MB:0=100;1=100\n", "box/schemata": "    L3:0=f;1=f0\n    MB:0=20;1=70\n",
		"info/L3/cbm_mask": "fff\n", "info/L3/min_cbm_bits": "2\n", "info/L3/num_closids": "16\n",
		"info/MB/bandwidth_gran": "10\n", "info/MB/delay_linear": "1\n", "info/MB/min_bandwidth": "10\n", "info/MB/num_closids": "8\n",
		"info/L3_MON/mon_features":                              "llc_occupancy\nmbm_total_bytes\nmbm_local_bytes\n",
		"box/mon_groups/box/mon_data/mon_L3_01/mbm_total_bytes": "7\n", "box/mon_groups/box/mon_data/mon_L3_01/mbm_local_bytes": "5\n",
		"box/mon_groups/box/mon_data/mon_L3_01/llc_occupancy": "9\n", "box/mon_groups/box/mon_data/mon_L3_00/mbm_total_bytes": "Unavailable\n",
	} {
		dir := root + "/" + name[:strings.LastIndexByte(name, '/')+1]
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(root+"/"+name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s, err := newGroup(root, &spec.IntelRdt{Monitoring: true}, "box").Stats()
	if err != nil {
		t.Fatal(err)
	}
	if s.L3 == nil || *s.L3 != (L3Info{"fff", 2, 16}) || *s.Bandwidth != (BandwidthInfo{10, 1, 10, 8}) ||
		s.L3Root != "L3:0=fff;1=fff" || s.L3Group != "L3:0=f;1=f0" || s.BandwidthGroup != "MB:0=20;1=70" || len(s.Schemata) != 2 ||
		len(s.Traffic) != 2 || s.Traffic[1] != (Traffic{7, 5}) || s.Occupancy[1] != 9 {
		t.Errorf("%+v", s)
	}
}
