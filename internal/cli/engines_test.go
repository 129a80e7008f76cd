package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"ostia/internal/container"
	ostiajson "ostia/internal/json"
	"ostia/internal/seccomp"
	"ostia/internal/spec"
)

// info is a container as go-runc (container.go) decodes state and list, with
// the members that runc writes besides.
type info struct {
	Version     string            `json:"ociVersion"`
	ID          string            `json:"id"`
	Pid         int               `json:"pid"`
	Status      string            `json:"status"`
	Bundle      string            `json:"bundle"`
	Rootfs      string            `json:"rootfs"`
	Created     time.Time         `json:"created"`
	Annotations map[string]string `json:"annotations"`
	Owner       string            `json:"owner"`
}

func TestState(t *testing.T) {
	c := container.Info{Version: "1.3.0", ID: "c", Pid: 7, Status: "running", Bundle: "/b\"\xff", Rootfs: "/b/rootfs",
		Created: "2026-11-24T01:02:03.000000004Z", Owner: "root", Annotations: map[string]string{"b": "2", "a": "1"}}
	e := ostiajson.NewEncoder("  ")
	writeInfo(e, &c)
	var got info
	strict(t, string(e.Bytes()), &got)
	if got.Pid != 7 || got.Bundle != "/b\"\ufffd" || got.Created.Nanosecond() != 4 || got.Annotations["b"] != "2" || got.Owner != "root" {
		t.Errorf("%+v", got)
	}
	// runc's order, which scripts with grep and sed have come to expect.
	var at []int
	for _, name := range []string{"ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "annotations", "owner"} {
		at = append(at, strings.Index(string(e.Bytes()), `"`+name+`"`))
	}
	if !slices.IsSorted(at) || at[0] < 0 {
		t.Errorf("members out of runc's order: %s", e.Bytes())
	}
}

// featureSet is the runtime-spec's structure (specs-go/features 1.3).
type featureSet struct {
	OCIVersionMin string   `json:"ociVersionMin"`
	OCIVersionMax string   `json:"ociVersionMax"`
	Hooks         []string `json:"hooks"`
	MountOptions  []string `json:"mountOptions"`
	Linux         struct {
		Namespaces   []string `json:"namespaces"`
		Capabilities []string `json:"capabilities"`
		Cgroup       struct {
			V1          bool `json:"v1"`
			V2          bool `json:"v2"`
			Systemd     bool `json:"systemd"`
			SystemdUser bool `json:"systemdUser"`
			Rdma        bool `json:"rdma"`
		} `json:"cgroup"`
		Seccomp struct {
			Enabled        bool     `json:"enabled"`
			Actions        []string `json:"actions"`
			Operators      []string `json:"operators"`
			Archs          []string `json:"archs"`
			KnownFlags     []string `json:"knownFlags"`
			SupportedFlags []string `json:"supportedFlags"`
		} `json:"seccomp"`
		Apparmor, Selinux, NetDevices enabled
		IntelRdt                      struct {
			Enabled    bool `json:"enabled"`
			Schemata   bool `json:"schemata"`
			Monitoring bool `json:"monitoring"`
		} `json:"intelRdt"`
		MemoryPolicy struct {
			Modes []string `json:"modes"`
			Flags []string `json:"flags"`
		} `json:"memoryPolicy"`
		MountExtensions struct {
			IDMap enabled `json:"idmap"`
		} `json:"mountExtensions"`
	} `json:"linux"`
	Annotations map[string]string `json:"annotations"`
	Unsafe      []string          `json:"potentiallyUnsafeConfigAnnotations"`
}

type enabled struct {
	Enabled bool `json:"enabled"`
}

// TestFeatures: engines decode features into the specification's structs, and
// what it claims of seccomp, the compiler takes.
func TestFeatures(t *testing.T) {
	var f featureSet
	strict(t, featuresText(), &f)
	if f.OCIVersionMax != spec.Version || len(f.Linux.Capabilities) < 41 || len(f.Linux.Namespaces) != 8 || !slices.IsSorted(f.Unsafe) {
		t.Errorf("%+v", f)
	}
	page, err := os.ReadFile("../../docs/annotations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range f.Unsafe {
		if !strings.Contains(string(page), "| `"+name+"`") {
			t.Errorf("docs/annotations.md does not explain %s", name)
		}
	}
	s := f.Linux.Seccomp
	for _, known := range s.Actions {
		allow := "SCMP_ACT_ALLOW"
		if known == allow {
			allow = "SCMP_ACT_ERRNO"
		}
		compiles(t, &spec.Seccomp{DefaultAction: allow, ListenerPath: listenerFor(known), Syscalls: []spec.SeccompRule{{Names: []string{"getcwd"}, Action: known}}})
	}
	for _, known := range s.Operators {
		compiles(t, &spec.Seccomp{DefaultAction: "SCMP_ACT_ALLOW", Syscalls: []spec.SeccompRule{{Names: []string{"getcwd"}, Action: "SCMP_ACT_ERRNO",
			Args: []spec.SeccompArg{{Index: 1, Value: 7, ValueTwo: 7, Op: known}}}}})
	}
	compiles(t, &spec.Seccomp{DefaultAction: "SCMP_ACT_ALLOW", Architectures: s.Archs, Flags: s.KnownFlags, ListenerPath: "/l",
		Syscalls: []spec.SeccompRule{{Names: []string{"getcwd"}, Action: "SCMP_ACT_NOTIFY"}}})
	for _, flag := range s.SupportedFlags {
		if !slices.Contains(s.KnownFlags, flag) {
			t.Errorf("%s is supported and not known", flag)
		}
	}
	// Every kernel that ostia runs on (5.14) has these.
	if !slices.Contains(s.SupportedFlags, "SECCOMP_FILTER_FLAG_LOG") || kernelHas(1<<31) {
		t.Errorf("the kernel was asked wrongly: %v", s.SupportedFlags)
	}
}

func listenerFor(action string) string {
	if action == "SCMP_ACT_NOTIFY" {
		return "/l"
	}
	return ""
}

func compiles(t *testing.T, s *spec.Seccomp) {
	t.Helper()
	if _, err := seccomp.Compile(s, "amd64"); err != nil {
		t.Errorf("features claims what seccomp refuses: %v", err)
	}
}

// strict decodes one JSON text and refuses members that the struct lacks.
func strict(t *testing.T, text string, into any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if d.More() {
		t.Errorf("more than one value: %s", text)
	}
}

// TestVersionDockerd reads --version as dockerd does (daemon/info_unix.go).
func TestVersionDockerd(t *testing.T) {
	for _, program := range []string{"ostia", "runc", "crun"} {
		var name, number string
		in := &invocation{program: program}
		for line := range strings.SplitSeq(strings.TrimSpace(in.versionText()), "\n") {
			if strings.Contains(line, "version") {
				s := strings.Split(line, "version")
				name, number = strings.TrimSpace(s[0]), strings.TrimSpace(s[len(s)-1])
			}
		}
		if name != program || number != version {
			t.Errorf("dockerd reads %q %q", name, number)
		}
	}
}

func TestTable(t *testing.T) {
	got := table([][]string{{"ID", "PID", "OWNER"}, {"a-container-id", "1", "root"}})
	want := "ID               PID         OWNER\na-container-id   1           root\n"
	if got != want {
		t.Errorf("%q", got)
	}
}
