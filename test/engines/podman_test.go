package engines

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestPodman(t *testing.T) {
	s := prepare(t)
	p, err := newPodman(roomDir+"/podman", s.runtime)
	check(t, err)
	if out, err := exec.Command(p.command, "load", "-q", "-i", s.image).CombinedOutput(); err != nil {
		t.Fatalf("podman load: %v\n%s", err, out)
	}
	s.run(t, "podman", "PATH="+filepath.Dir(p.command)+":"+os.Getenv("PATH")+":"+criuFolder())
}

// podman is an engine without a daemon: a command with files of its own.
type podman struct {
	command string // named podman, for a PATH
}

// newPodman configures a podman whose files are all in dir.
func newPodman(dir, runtime string) (podman, error) {
	bin := filepath.Join(dir, "bin")
	p := podman{filepath.Join(bin, "podman")}
	for _, d := range []string{bin, filepath.Join(dir, ".config/containers")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return p, err
		}
	}
	config, err := documented("podman", runtime)
	if err != nil {
		return p, err
	}
	// Limits: this machine may not raise them, and podman would.
	config = strings.Replace(config, "[engine]\n", `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
seccomp_profile = "`+packagesDir+`/usr/share/containers/seccomp.json"
netns = "none"
pids_limit = 1000
init_path = "`+packagesDir+`/usr/bin/tini-static"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
conmon_path = ["`+packagesDir+`/usr/bin/conmon"]
conmon_env_vars = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin:`+criuFolder()+`"]
helper_binaries_dir = ["`+packagesDir+`/usr/bin", "`+packagesDir+`/usr/lib/podman"]
runtime_supports_nocgroup = ["ostia"]
`, 1)
	wrapper := `#!/bin/sh
export HOME=` + dir + ` CONTAINERS_CONF=` + dir + `/containers.conf CONTAINERS_STORAGE_CONF=` + dir + `/storage.conf
export CONTAINERS_REGISTRIES_CONF=` + dir + `/registries.conf
exec ` + packagesDir + `/usr/bin/podman "$@"
`
	for name, content := range map[string]string{
		"containers.conf":                config,
		"registries.conf":                "",
		"storage.conf":                   "[storage]\ndriver = \"overlay\"\ngraphroot = \"" + dir + "/storage\"\nrunroot = \"" + dir + "/run\"\n",
		".config/containers/policy.json": `{"default": [{"type": "insecureAcceptAnything"}]}`,
		"bin/podman":                     wrapper,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
			return p, err
		}
	}
	return p, nil
}
