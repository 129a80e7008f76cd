package test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Every package of the module and the ones of the module that it may import,
// as docs/architecture.md draws them: arrows point down. Tests may import
// more.
var arrows = map[string][]string{
	"cmd/ostia":          {"internal/cli"},
	"cmd/ostia-criu":     {"internal/cli", "internal/criu"},
	"cmd/ostia-kernel":   {"internal/vm/image", "internal/vm/kernel"},
	"cmd/ostia-vmm":      {"internal/vm/agent", "internal/vm/monitor", "internal/vm/prepare"},
	"entrypoint":         {"internal/linux"},
	"internal/cgroup":    {"internal/file", "internal/linux", "internal/mountinfo", "internal/spec"},
	"internal/cli":       {"entrypoint", "internal/cgroup", "internal/container", "internal/file", "internal/host", "internal/json", "internal/linux", "internal/plan", "internal/program", "internal/resctrl", "internal/seccomp", "internal/spec", "internal/timeline", "internal/typo"},
	"internal/container": {"entrypoint", "internal/cgroup", "internal/file", "internal/host", "internal/json", "internal/launch", "internal/linux", "internal/mountinfo", "internal/netdev", "internal/plan", "internal/program", "internal/resctrl", "internal/seccomp", "internal/spec", "internal/state", "internal/systemd"},
	"internal/criu":      {"internal/container"},
	"internal/dbus":      {},
	"internal/file":      {},
	"internal/host":      {"internal/cgroup", "internal/file", "internal/linux", "internal/program"},
	"internal/json":      {},
	"internal/launch":    {"internal/file", "internal/plan"},
	"internal/linux":     {},
	"internal/mountinfo": {},
	"internal/netdev":    {"internal/netlink"},
	"internal/netlink":   {},
	"internal/plan":      {"entrypoint", "internal/linux", "internal/spec", "internal/stage"},
	"internal/program":   {"internal/file"},
	"internal/resctrl":   {"internal/file", "internal/mountinfo", "internal/spec"},
	"internal/seccomp":   {"internal/spec"},
	"internal/spec":      {"internal/json", "internal/typo"},
	"internal/stage":     {},
	"internal/state":     {"internal/cgroup", "internal/file", "internal/json", "internal/spec", "internal/systemd"},
	"internal/systemd":   {"internal/cgroup", "internal/dbus", "internal/file", "internal/linux", "internal/spec"},
	"internal/timeline":  {"internal/json"},
	"internal/typo":      {},

	"internal/vm/acpi":      {},
	"internal/vm/agent":     {"entrypoint", "internal/container", "internal/json", "internal/netlink", "internal/vm/guest", "internal/vm/initramfs", "internal/vm/wire"},
	"internal/vm/balloon":   {"internal/vm/virtio"},
	"internal/vm/console":   {"internal/vm/virtio"},
	"internal/vm/entropy":   {"internal/vm/virtio"},
	"internal/vm/boot":      {"internal/vm/kvm", "internal/vm/memory"},
	"internal/vm/guest":     {"internal/json", "internal/plan"},
	"internal/vm/image":     {"internal/vm/initramfs", "internal/vm/kernel"},
	"internal/vm/initramfs": {},
	"internal/vm/kernel":    {},
	"internal/vm/kvm":       {},
	"internal/vm/machine":   {"internal/vm/acpi", "internal/vm/boot", "internal/vm/kvm", "internal/vm/memory", "internal/vm/mptable", "internal/vm/virtio"},
	"internal/vm/memory":    {},
	"internal/vm/mptable":   {"internal/vm/acpi"},
	"internal/vm/monitor": {"internal/program", "internal/seccomp", "internal/spec", "internal/state", "internal/vm/balloon", "internal/vm/boot", "internal/vm/console", "internal/vm/entropy", "internal/vm/guest", "internal/vm/initramfs", "internal/vm/kvm", "internal/vm/machine",
		"internal/vm/network", "internal/vm/prepare", "internal/vm/virtio", "internal/vm/virtiofs", "internal/vm/virtionet", "internal/vm/vsock", "internal/vm/wire"},
	"internal/vm/network":   {"internal/netlink", "internal/vm/guest", "internal/vm/virtionet"},
	"internal/vm/prepare":   {"internal/program", "internal/vm/boot", "internal/vm/kernel", "internal/vm/kvm", "internal/vm/machine"},
	"internal/vm/virtio":    {"internal/vm/kvm", "internal/vm/memory"},
	"internal/vm/virtiofs":  {"internal/linux", "internal/vm/virtio"},
	"internal/vm/virtionet": {"internal/vm/virtio"},
	"internal/vm/vsock":     {"internal/vm/virtio"},
	"internal/vm/wire":      {"internal/json"},
}

// Linked modules, each with its reason in docs/dependencies.md.
var modules = []string{"golang.org/x/sys"}

// What only ostia-kernel links, with its reasons in the same place.
var kernelModules = []string{"golang.org/x/sys", "github.com/klauspost/compress", "github.com/pierrec/lz4/v4", "github.com/ulikunitz/xz"}

// What only ostia-criu links.
var criuModules = []string{"golang.org/x/sys", "github.com/checkpoint-restore/go-criu/v8", "github.com/aperturerobotics/protobuf-go-lite"}

// What costs start-up time or brings reflection, a poller or a second way to
// do what a package here does. The measurements are in docs/architecture.md.
var unlinked = []string{
	"bufio", "encoding/json", "flag", "fmt", "html/template", "log", "log/slog", "net", "net/http", "os/exec", "os/user",
	"regexp", "text/tabwriter", "text/template",
}

// What every start of ostia-vmm would initialize and none of them needs, once a
// kernel is unpacked.
var unlinkedMachine = []string{"compress/", "crypto/", "debug/", "math/big"}

func TestArchitectureArrows(t *testing.T) {
	for line := range lines(t, "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "ostia/cmd/...", "ostia/entrypoint/...", "ostia/internal/...") {
		fields := strings.Fields(line)
		pkg := strings.TrimPrefix(fields[0], "ostia/")
		allowed, known := arrows[pkg]
		if !known {
			t.Errorf("%s is not on the map: add it here and to docs/architecture.md", pkg)
			continue
		}
		for _, imported := range fields[1:] {
			if own, ok := strings.CutPrefix(imported, "ostia/"); ok && !slices.Contains(allowed, own) {
				t.Errorf("%s imports %s: no arrow goes there", pkg, own)
			}
		}
	}
}

func TestArchitectureLinked(t *testing.T) {
	for line := range lines(t, "list", "-deps", "-f", "{{.ImportPath}} {{with .Module}}{{.Path}}{{end}}", "ostia/cmd/ostia") {
		fields := strings.Fields(line)
		if slices.Contains(unlinked, fields[0]) {
			t.Errorf("cmd/ostia links %s (go mod why -m does not tell: go list -deps -f '{{.ImportPath}}: {{.Imports}}' ./cmd/ostia does)", fields[0])
		}
		if len(fields) == 2 && fields[1] != "ostia" && !slices.Contains(modules, fields[1]) {
			t.Errorf("cmd/ostia links the module %s: add it here and to docs/dependencies.md with its reason, or leave it out", fields[1])
		}
	}
}

func TestArchitectureLinkedOthers(t *testing.T) {
	for program, modules := range map[string][]string{"ostia-vmm": modules, "ostia-kernel": kernelModules, "ostia-criu": criuModules} {
		for line := range lines(t, "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "ostia/cmd/"+program) {
			if module := strings.TrimSpace(line); module != "" && module != "ostia" && !slices.Contains(modules, module) {
				t.Errorf("cmd/%s links the module %s: add it here and to docs/dependencies.md with its reason, or leave it out", program, module)
			}
		}
	}
}

func TestArchitectureLinkedMachine(t *testing.T) {
	for line := range lines(t, "list", "-deps", "ostia/cmd/ostia-vmm") {
		for _, unlinked := range unlinkedMachine {
			if pkg := strings.TrimSpace(line); strings.HasPrefix(pkg, unlinked) {
				t.Errorf("cmd/ostia-vmm links %s: what needs it belongs into ostia-kernel", pkg)
			}
		}
	}
}

// TestArchitectureMap holds that docs/architecture.md shows every room.
func TestArchitectureMap(t *testing.T) {
	page, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range arrows {
		name := strings.TrimPrefix(strings.TrimPrefix(pkg, "internal/"), "vm/")
		if !strings.Contains(string(page), name+"/") {
			t.Errorf("docs/architecture.md does not show %s", pkg)
		}
	}
}

// lines runs the go command; without it (in the guest) there is nothing to hold.
func lines(t *testing.T, args ...string) func(func(string) bool) {
	if os.Getenv("OSTIA_GUEST") != "" {
		t.Skip("the source is checked on the outer machine")
	}
	cmd := exec.Command("go", args...)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, complaint.String())
	}
	return strings.Lines(string(out))
}
