package systemd

import (
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"ostia/internal/dbus"
	"ostia/internal/spec"
)

func TestScope(t *testing.T) {
	for _, c := range []struct {
		path, id string
		user     bool
		want     string // the cgroup, or the reason
	}{
		{"", "web", false, "/system.slice/ostia-web.scope"},
		{"", "web", true, "/user.slice/ostia-web.scope"},
		{"", "a+b", false, `/system.slice/ostia-a\x2bb.scope`},
		{"machine.slice:libpod:1f", "x", false, "/machine.slice/libpod-1f.scope"},
		{"kubepods-pod1.slice:cri:2", "x", false, "/kubepods.slice/kubepods-pod1.slice/cri-2.scope"},
		{"::n", "x", true, "/user.slice/-n.scope"},
		{"-:p:n", "x", false, "/p-n.scope"},
		{"-.slice:p:n", "x", false, "/p-n.scope"},
		{"/a/b", "x", false, "SLICE:PREFIX:NAME"},
		{"a:b:c:d", "x", false, "SLICE:PREFIX:NAME"},
		{"system:p:n", "x", false, "is no slice"},
		{"a--b.slice:p:n", "x", false, "is no slice"},
		{"-a.slice:p:n", "x", false, "is no slice"},
		{"../x.slice:p:n", "x", false, "unit name"},
		{"a.slice:p:../n", "x", false, "unit name"},
		{"a.slice:p:n.slice", "x", false, "holds units"},
		{"a.slice:p:" + strings.Repeat("n", 250), "x", false, "at most 255"},
	} {
		u, err := Scope(c.path, c.id, c.user)
		if !strings.HasPrefix(c.want, "/") {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", c.path, err, c.want)
			}
			continue
		}
		if err != nil || u.Path("/") != c.want || u.Path("/up") != "/up"+c.want || u.User != c.user {
			t.Errorf("%s: %+v, %v, want %s", c.path, u, err, c.want)
		}
	}
}

func TestAnnotated(t *testing.T) {
	got, err := Annotated(map[string]string{
		"org.systemd.property.TimeoutStopUSec": "uint64 5", "org.systemd.property.CollectMode": "'inactive-or-failed'",
		"org.systemd.property.RuntimeMaxSec": "1.5", "io.example": "x",
	})
	want := []Property{
		{"CollectMode", dbus.String("inactive-or-failed"), "annotations.org.systemd.property.CollectMode"},
		{"RuntimeMaxUSec", dbus.Uint64(1_500_000), "annotations.org.systemd.property.RuntimeMaxSec"},
		{"TimeoutStopUSec", dbus.Uint64(5), "annotations.org.systemd.property.TimeoutStopUSec"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for key, value := range map[string]string{"Slice": "'a'", "Not-A-Name": "1", "X": "1", "After": "unquoted", "RuntimeMaxSec": "'1'", "TimeoutStopSec": "-1"} {
		if _, err := Annotated(map[string]string{prefix + key: value}); err == nil || !strings.HasPrefix(err.Error(), "annotations."+prefix+key) {
			t.Errorf("%s=%s: %v", key, value, err)
		}
	}
}

func TestLimits(t *testing.T) {
	i, u, w := func(n int64) *int64 { return &n }, func(n uint64) *uint64 { return &n }, func(n uint16) *uint16 { return &n }
	number := func(name string, n uint64) string { return name + " " + spell(dbus.Uint64(n)) }
	for _, c := range []struct {
		r       spec.Resources
		version int
		want    []string
	}{
		{spec.Resources{Memory: &spec.Memory{Limit: i(100), Swap: i(300), Reservation: i(50)}}, 252,
			[]string{number("MemoryMax", 100), number("MemoryLow", 50), number("MemorySwapMax", 200)}},
		{spec.Resources{Memory: &spec.Memory{Limit: i(-1)}}, 252,
			[]string{number("MemoryMax", math.MaxUint64), number("MemorySwapMax", math.MaxUint64)}},
		{spec.Resources{CPU: &spec.CPU{Shares: u(1024), Quota: i(12345), Period: u(100000), Cpus: "0-2,9", Mems: "0"}}, 252,
			[]string{number("CPUWeight", 100), number("CPUQuotaPerSecUSec", 130000), number("CPUQuotaPeriodUSec", 100000),
				"AllowedCPUs ay \x07\x02", "AllowedMemoryNodes ay \x01"}},
		{spec.Resources{CPU: &spec.CPU{Quota: i(-1)}}, 252,
			[]string{number("CPUQuotaPerSecUSec", math.MaxUint64), number("CPUQuotaPeriodUSec", 100000)}},
		{spec.Resources{CPU: &spec.CPU{Idle: i(1)}}, 252, []string{number("CPUWeight", 0)}},
		{spec.Resources{CPU: &spec.CPU{Idle: i(1)}}, 250, nil},
		{spec.Resources{Pids: &spec.Pids{Limit: i(-1)}}, 252, []string{number("TasksMax", math.MaxUint64)}},
		{spec.Resources{BlockIO: &spec.BlockIO{Weight: w(10)}}, 252, []string{number("IOWeight", 1)}},
	} {
		list, err := Limits(&c.r, c.version, true)
		var got []string
		for _, p := range list {
			got = append(got, p.Name+" "+spell(p.Value))
		}
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q, %v, want %q", got, err, c.want)
		}
	}
}

func spell(v dbus.Value) string {
	if v.Type == "ay" {
		return "ay " + v.Text
	}
	return v.Type + " " + strconv.FormatUint(v.Number, 10)
}

func TestBusSocket(t *testing.T) {
	for address, want := range map[string]string{
		"unix:path=/run/user/1/bus":                 "/run/user/1/bus",
		"unix:path=/run/user/1/b%20s,guid=12":       "/run/user/1/b s",
		"tcp:host=x;unix:guid=1,abstract=/tmp/dbus": "@/tmp/dbus",
		"unix:path=%00":                             "",
		"unix:path=":                                "",
		"autolaunch:":                               "",
		"":                                          "",
	} {
		if got := busSocket(address); got != want {
			t.Errorf("%s is %q, want %q", address, got, want)
		}
	}
	for text, want := range map[string]int{"252.39-1~deb12u2": 252, "v257": 257, "259~rc1": 259, "": 0, "x": 0} {
		if got := versionNumber(text); got != want {
			t.Errorf("%q is %d", text, got)
		}
	}
}

func TestLegacy(t *testing.T) {
	n, shares, weight := int64(100), uint64(512), uint16(20)
	list, err := Limits(&spec.Resources{Memory: &spec.Memory{Limit: &n}, CPU: &spec.CPU{Shares: &shares, Quota: &n}, Pids: &spec.Pids{Limit: &n},
		BlockIO: &spec.BlockIO{Weight: &weight}}, 252, false)
	var names []string
	for _, p := range list {
		names = append(names, p.Name)
	}
	want := []string{"MemoryLimit", "CPUShares", "CPUQuotaPerSecUSec", "CPUQuotaPeriodUSec", "BlockIOWeight", "TasksMax"}
	if err != nil || !reflect.DeepEqual(names, want) {
		t.Errorf("%q, %v, want %q", names, err, want)
	}

	const drivers = "Character devices:\n  1 mem\n136 pts\n\nBlock devices:\n  8 sd\n136 other\n"
	for want, r := range map[string]spec.DeviceRule{
		"/dev/char/1:3":  {Type: 'c', Major: 1, Minor: 3},
		"/dev/block/8:0": {Type: 'b', Major: 8},
		"char-pts":       {Type: 'c', Major: 136, Minor: -1},
		"block-other":    {Type: 'b', Major: 136, Minor: -1},
		"block-*":        {Type: 'b', Major: -1, Minor: -1},
		"":               {Type: 'c', Major: 8, Minor: -1},
	} {
		if got := deviceName(&r, drivers); got != want {
			t.Errorf("%+v is %q, want %q", r, got, want)
		}
	}
	// All devices but some: systemd cannot say it.
	if list, err := Devices(&spec.Resources{Devices: []spec.DeviceRule{{Allow: true, Type: 'a', Major: -1, Minor: -1, Access: 7}}}); len(list) != 0 || err != nil {
		t.Errorf("all devices: %+v, %v", list, err)
	}
	if list, err := Devices(nil); len(list) != 2 || err != nil || list[1].Name != "DeviceAllow" {
		t.Errorf("no rules: %+v, %v", list, err)
	}
}
