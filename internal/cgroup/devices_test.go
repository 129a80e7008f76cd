package cgroup

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"ostia/internal/spec"
)

const (
	r, w, m = spec.AccessRead, spec.AccessWrite, spec.AccessMknod
	kmsg    = "c 1 11"
)

func rule(allow bool, text string, access uint8) spec.DeviceRule {
	words := strings.Fields(text)
	d := spec.DeviceRule{Allow: allow, Type: words[0][0], Major: -1, Minor: -1, Access: access}
	if len(words) > 1 && words[1] != "*" {
		d.Major, _ = strconv.ParseInt(words[1], 10, 64)
	}
	if len(words) > 2 && words[2] != "*" {
		d.Minor, _ = strconv.ParseInt(words[2], 10, 64)
	}
	return d
}

// TestDevices asks the kernel: a process in the cgroup opens and makes device
// nodes.
func TestDevices(t *testing.T) {
	const yes, no = "ok", "operation not permitted"
	dir := t.TempDir()
	node := func(name, number string) string {
		path := dir + "/" + name
		if !exists(path) {
			if s := act("mknod " + path + " " + number); s != yes {
				t.Skip("mknod: " + s)
			}
		}
		if s := act("open " + path + " " + strconv.Itoa(os.O_RDONLY)); s != yes {
			t.Skip("open " + path + ": " + s)
		}
		return path
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	null, log, random := node("null", "c 1 3"), node("kmsg", kmsg), node("random", "c 1 8")
	rdonly := func(p string) string { return "open " + p + " " + strconv.Itoa(os.O_RDONLY) }
	rdwr := func(p string) string { return "open " + p + " " + strconv.Itoa(os.O_RDWR) }
	wronly := func(p string) string { return "open " + p + " " + strconv.Itoa(os.O_WRONLY) }
	made := 0
	mknod := func(number string) string {
		made++
		return "mknod " + dir + "/new" + strconv.Itoa(made) + " " + number
	}
	for _, c := range []struct {
		name  string
		rules []spec.DeviceRule
		want  map[string]string
		v1    bool // version 1 refuses it
	}{
		{"no rules", nil, map[string]string{rdwr(null): yes, rdwr(random): yes, rdonly(log): no, mknod(kmsg): yes, mknod("b 7 0"): yes}, false},
		{"deny all", []spec.DeviceRule{rule(false, "a", r|w|m)}, map[string]string{rdwr(null): yes, rdonly(log): no, mknod("b 7 0"): yes}, false},
		{"allow all", []spec.DeviceRule{rule(true, "a", r|w|m)}, map[string]string{rdwr(null): yes, rdonly(log): yes, mknod(kmsg): yes}, false},
		{"allow one", []spec.DeviceRule{rule(false, "a", r|w|m), rule(true, kmsg, r|w)}, map[string]string{rdwr(log): yes}, false},
		{"read only", []spec.DeviceRule{rule(false, "a", r|w|m), rule(true, kmsg, r)}, map[string]string{rdonly(log): yes, wronly(log): no, rdwr(log): no}, false},
		{"minor wildcard", []spec.DeviceRule{rule(true, "c 1 *", r)}, map[string]string{rdonly(log): yes, wronly(log): no}, false},
		{"other type", []spec.DeviceRule{rule(true, "b 1 11", r|w)}, map[string]string{rdonly(log): no}, false},
		{"other major", []spec.DeviceRule{rule(true, "c 2 11", r|w)}, map[string]string{rdonly(log): no}, false},
		{"a large number", []spec.DeviceRule{rule(true, "c 4294967294 11", r|w)}, map[string]string{rdonly(log): no, rdwr(null): yes}, false},
		{"all but one", []spec.DeviceRule{rule(true, "a", r|w|m), rule(false, kmsg, r|w|m)}, map[string]string{rdonly(log): no, rdwr(null): yes, mknod("b 7 0"): yes}, false},
		{"all but write", []spec.DeviceRule{rule(true, "a", r|w|m), rule(false, kmsg, w)}, map[string]string{rdonly(log): yes, wronly(log): no, rdwr(log): no}, false},
		{"the last decides", []spec.DeviceRule{rule(true, kmsg, r|w), rule(false, kmsg, w)}, map[string]string{rdonly(log): yes, wronly(log): no}, false},
		{"a wider rule takes back", []spec.DeviceRule{rule(true, kmsg, r|w), rule(false, "c 1 *", r|w|m)}, map[string]string{rdonly(log): no, rdwr(null): yes}, false},
		{"a resets", []spec.DeviceRule{rule(true, kmsg, r|w), rule(false, "a", r)}, map[string]string{rdonly(log): no}, false},
		{"a hole", []spec.DeviceRule{rule(true, "c 1 *", r|w), rule(false, kmsg, w)}, map[string]string{rdonly(log): yes, wronly(log): no, rdwr(null): yes}, true},
		{"access of two rules", []spec.DeviceRule{rule(true, "c 1 *", r), rule(true, kmsg, w)}, map[string]string{rdonly(log): yes, wronly(log): yes}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := resolve(t, "box")
			err := g.Create(&spec.Resources{Devices: c.rules})
			if c.v1 && !g.V2 {
				var refused *spec.Error
				if !errors.As(err, &refused) || refused.Pointer != "linux.resources.devices" {
					t.Errorf("was not refused: %v", err)
				}
				if exists(g.Dirs[0].Path) {
					t.Error("a failed create left the cgroup")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			check(t, g, c.want)
			// The same in a cgroup that had other rules.
			g = resolve(t, "reused")
			if err := g.Create(&spec.Resources{Devices: []spec.DeviceRule{rule(true, "c 4 *", r), rule(true, kmsg, m)}}); err != nil {
				t.Fatal(err)
			}
			if len(c.rules) == 0 {
				return
			}
			if err := g.Create(&spec.Resources{Devices: c.rules}); err != nil {
				t.Fatal(err)
			}
			check(t, g, c.want)
		})
	}
}

// check lets a process in the cgroup do things and compares how they end.
func check(t *testing.T, g *Group, want map[string]string) {
	t.Helper()
	for do, result := range want {
		if words := strings.Fields(do); words[0] == "mknod" {
			os.Remove(words[1])
		}
		out, err := command(t, g, do).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if got := strings.TrimSpace(string(out)); got != result {
			t.Errorf("%s: %s, want %s", do, got, result)
		}
	}
}

func TestNoDeviceNumber(t *testing.T) {
	g := resolve(t, "")
	var refused *spec.Error
	err := g.Create(&spec.Resources{Devices: []spec.DeviceRule{rule(true, "c 4294967295 4294967295", r|w|m)}})
	if !errors.As(err, &refused) || refused.Pointer != "linux.resources.devices[0]" {
		t.Errorf("became %v", err)
	}
}

func TestReuseReplacesTheProgram(t *testing.T) {
	if !isV2(t) {
		t.Skip("version 2")
	}
	g := create(t, "", nil)
	for range 3 {
		if err := g.Create(&spec.Resources{Devices: []spec.DeviceRule{rule(true, kmsg, r)}}); err != nil {
			t.Fatal(err)
		}
	}
	f, err := g.Dirs[0].open()
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	if fds, err := attachedPrograms(f.fd); err != nil || len(fds) != 1 {
		t.Errorf("%d programs are attached, %v", len(fds), err)
	}
}
