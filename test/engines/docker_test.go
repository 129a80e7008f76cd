package engines

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestDocker(t *testing.T) {
	s := prepare(t)
	dir := roomDir + "/docker"
	config, err := documented("Docker", s.runtime)
	check(t, err)
	d, err := startDocker(t, dir, s.runtime, config)
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

// startDocker starts a dockerd whose files are all in dir.
func startDocker(t *testing.T, dir, runtime, config string) (docker, error) {
	bin := filepath.Join(dir, "bin")
	d := docker{filepath.Join(bin, "docker")}
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return d, err
	}
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
	// No bridge and no packet filter: the machine may lack iptables.
	return d, startDaemon(t, filepath.Join(dir, "log"), bin, []string{packagesDir + "/usr/sbin/dockerd", "--config-file", dir + "/daemon.json",
		"--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false",
		"--data-root", dir + "/data", "--exec-root", dir + "/exec", "--pidfile", dir + "/pid", "--host", "unix://" + dir + "/sock",
		"--init-path", packagesDir + "/usr/bin/tini-static", "--exec-opt", "native.cgroupdriver=cgroupfs"},
		[]string{d.command, "version"}, soon)
}
