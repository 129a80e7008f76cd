package mountinfo

import (
	"reflect"
	"strings"
	"testing"
)

const sample = `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
33 31 0:30 /docker/a\040b /mnt/a\040b rw,relatime shared:1 master:2 - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
42 31 0:39 / /x rw - cgroupish cgroup rw
garbage - cgroup cgroup rw
`

func TestParse(t *testing.T) {
	want := []Mount{
		{32, "cgroup", "/", "/sys/fs/cgroup/cpu,cpuacct", "rw,cpu,cpuacct"},
		{33, "cgroup", "/docker/a b", "/mnt/a b", "rw,memory"},
		{41, "cgroup2", "/", "/sys/fs/cgroup/unified", "rw"},
	}
	if got := Parse(sample, "cgroup", "cgroup2"); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample)
	f.Add("1 2 3 / / rw - cgroup cgroup rw")
	f.Add(`1 2 3:4 / /\0 rw - cgroup2 c \`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, m := range Parse(text, "cgroup", "cgroup2") {
			if !strings.HasPrefix(m.Point, "/") || !strings.Contains(text, m.Options) {
				t.Errorf("%+v", m)
			}
			if strings.Contains(m.Point, " ") && !strings.Contains(text, `\040`) {
				t.Errorf("a space came from nowhere: %+v", m)
			}
		}
	})
}
