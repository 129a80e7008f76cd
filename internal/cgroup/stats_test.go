package cgroup

import (
	"os"
	"reflect"
	"testing"
)

// files is a folder with files, which only the real kernel has in a cgroup.
func files(t *testing.T, texts map[string]string) *counters {
	t.Helper()
	dir := t.TempDir()
	for name, text := range texts {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fd, err := open(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := &counters{folder: folder{fd, dir}}
	t.Cleanup(c.close)
	return c
}

// TestStatsOfDisks reads what a container here never has: a disk with a
// scheduler that counts.
func TestStatsOfDisks(t *testing.T) {
	var v1, v2 Stats
	v1.readIOV1(files(t, map[string]string{
		"blkio.bfq.io_service_bytes_recursive":      "8:0 Read 4096\n8:0 Write 0\n8:0 Total 4096\nTotal 4096\n",
		"blkio.throttle.io_service_bytes_recursive": "8:0 Read 1\nTotal 1\n",
		"blkio.bfq.io_serviced_recursive":           "Total 0\n",
		"blkio.throttle.io_serviced":                "8:0 Read 3\n",
		"blkio.bfq.sectors_recursive":               "8:16 7\n",
	}))
	want := IOStats{
		Bytes:      []IOCounter{{8, 0, "Read", 4096}, {8, 0, "Write", 0}, {8, 0, "Total", 4096}},
		Operations: []IOCounter{{8, 0, "Read", 3}}, Sectors: []IOCounter{{8, 16, "", 7}},
	}
	if !reflect.DeepEqual(v1.IO, want) {
		t.Errorf("version 1: %+v", v1.IO)
	}
	v2.readIOV2(files(t, map[string]string{
		"io.stat":     "8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n8:16\n",
		"io.pressure": "some avg10=1.50 avg60=0.00 avg300=0.25 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n",
	}))
	want = IOStats{
		Bytes:      []IOCounter{{8, 0, "Read", 4096}, {8, 0, "Write", 8192}},
		Operations: []IOCounter{{8, 0, "Read", 1}, {8, 0, "Write", 2}},
		Pressure:   &Pressure{Stall{1.5, 0, 0.25, 77}, Stall{0, 0, 0, 5}},
	}
	if !reflect.DeepEqual(v2.IO, want) {
		t.Errorf("version 2: %+v %+v", v2.IO, v2.IO.Pressure)
	}
}

// TestStatsWithSwap: version 1 counts memory and swap together.
func TestStatsWithSwap(t *testing.T) {
	for _, c := range []struct{ memory, swap, want string }{{"100\n", "50\n", "150\n"}, {"max\n", "50\n", "max\n"}, {"100\n", "max\n", "max\n"}, {"max\n", "max\n", "max\n"}} {
		var s Stats
		s.readMemoryV2(files(t, map[string]string{"memory.current": "7\n", "memory.max": c.memory, "memory.swap.current": "3\n", "memory.swap.max": c.swap}))
		if want := number64(c.want[:len(c.want)-1]); s.Memory.Swap != (MemoryUsage{Limit: want, Usage: 10}) {
			t.Errorf("%q and %q: %+v", c.memory, c.swap, s.Memory.Swap)
		}
	}
}

func TestStats(t *testing.T) {
	g := create(t, "box", nil)
	s, err := g.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if s.Pids.Current != 0 || g.V2 && s.CPU.Pressure == nil && exists("/proc/pressure/cpu") {
		t.Errorf("%+v", s)
	}
	if err := g.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Stats(); err == nil {
		t.Error("statistics of a cgroup that is gone")
	}
}
