package cli

import (
	"strings"
	"testing"
)

func TestUpdateFlags(t *testing.T) {
	for _, c := range []struct{ line, want, refused string }{
		{"update c", "{}", ""},
		{"update --memory 100m --memory-swap -1 --cpu-quota -1 c", `{"cpu":{"quota":-1},"memory":{"limit":104857600,"swap":-1}}`, ""},
		{"update --cpuset-cpus 0-1 --cpu-idle 1 --pids-limit=0 --blkio-weight 10 c",
			`{"blockIO":{"weight":10},"cpu":{"cpus":"0-1","idle":1},"pids":{"limit":0}}`, ""},
		{"update --memory= c", "{}", ""},
		{"update --memory 1x c", "", "update: --memory 1x: not a size"},
		{"update --cpu-period -5 c", "", "update: --cpu-period -5: not a whole number of 0 or more"},
		{"update --cpu-quota 5.5 c", "", "update: --cpu-quota 5.5: not a whole number"},
		{"update -r - --memory 1 c", "", "exclude each other"},
		{"update -r /no/such c", "", "--resources: /no/such: no such file"},
		{"update -r / c", "", "--resources: /: is a directory"},
	} {
		in, err := parseCommandLine("ostia", strings.Fields(c.line))
		if err != nil {
			t.Errorf("%s: %v", c.line, err)
			continue
		}
		got, err := resourcesOf(in)
		if c.refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: %v, want %s", c.line, err, c.refused)
			}
		} else if got != c.want || err != nil {
			t.Errorf("%s: %s, %v, want %s", c.line, got, err, c.want)
		}
	}
}

func TestByteSize(t *testing.T) {
	for written, want := range map[string]string{
		"0": "0", "-1": "-1", "1024": "1024", "1k": "1024", "1K": "1024", "2kb": "2048", "2KiB": "2048", "1.5g": "1610612736",
		"3 MB": "3145728", "1t": "1099511627776", "1p": "1125899906842624", "7b": "7", "8191p": "9222246136947933184",
		"": "", "-2": "", "1e3": "", "k": "", "8192p": "", "1kk": "", "0x10": "", "99999999999999999999": "", "inf": "", "1 k b": "",
	} {
		got, ok := byteSize(written)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q is %s, %v, want %q", written, got, ok, want)
		}
	}
}
