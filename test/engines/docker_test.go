package engines

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestDocker(t *testing.T) {
	s := prepare(t)
	dir := roomDir + "/docker"
	d, err := startDocker(t, dir, s.runtime)
	check(t, err)
	if out, err := exec.Command(d.command, "load", "-q", "-i", s.image).CombinedOutput(); err != nil {
		t.Fatalf("docker load: %v\n%s", err, out)
	}
	s.run(t, "docker", "PATH="+filepath.Dir(d.command)+":"+os.Getenv("PATH"))
}

// docker is a running dockerd, with the containerd that it starts.
type docker struct {
	command string // the client, named docker, for a PATH
}

// startDocker starts a dockerd whose files are all in dir, with the runtime by
// name, as "other", and by default.
func startDocker(t *testing.T, dir, runtime string) (docker, error) {
	bin := filepath.Join(dir, "bin")
	d := docker{filepath.Join(bin, "docker")}
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return d, err
	}
	// No bridge, no packet filter: the machine may lack iptables. The ulimit is what may be set without CAP_SYS_RESOURCE.
	config := fmt.Sprintf(`{
	"runtimes": {"ostia": {"path": %q}, "other": {"path": %q}},
	"default-runtime": "ostia",
	"bridge": "none",
	"iptables": false, "ip6tables": false, "ip-forward": false, "ip-masq": false,
	"data-root": %q, "exec-root": %q, "pidfile": %q, "hosts": [%q],
	"init-path": %q,
	"exec-opts": ["native.cgroupdriver=cgroupfs"]
}`, runtime, runtime, dir+"/data", dir+"/exec", dir+"/pid", "unix://"+dir+"/sock", packagesDir+"/usr/bin/tini-static")
	wrapper := "#!/bin/sh\nexec " + packagesDir + "/usr/bin/docker --config " + dir + " --host unix://" + dir + "/sock \"$@\"\n"
	for name, content := range map[string]string{"daemon.json": config, "bin/docker": wrapper} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
			return d, err
		}
	}
	// This dockerd does not start without a runc on its PATH: the name is ostia's here, too.
	if err := os.Symlink(runtime, filepath.Join(bin, "runc")); err != nil {
		return d, err
	}
	return d, startDaemon(t, filepath.Join(dir, "log"), bin,
		[]string{packagesDir + "/usr/sbin/dockerd", "--config-file", dir + "/daemon.json"}, []string{d.command, "version"})
}
