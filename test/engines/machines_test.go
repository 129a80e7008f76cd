package engines

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMachines states what the users of each engine see when its containers are
// machines. It needs a KVM and an installed kernel: make test-vm-full has both.
func TestMachines(t *testing.T) {
	if kvm, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0); err != nil {
		t.Skip(err)
	} else {
		kvm.Close()
	}
	s := prepare(t)
	for _, part := range []string{"-vmm", "-kernel"} {
		program, err := os.ReadFile(filepath.Join(filepath.Dir(os.Getenv("RUNTIME")), "ostia"+part))
		check(t, err)
		check(t, os.WriteFile(s.runtime+part, program, 0o755))
	}
	krun := filepath.Join(roomDir, "krun")
	check(t, os.Symlink(s.runtime, krun))
	path := func(command string) []string {
		return []string{"PATH=" + filepath.Dir(command) + ":" + os.Getenv("PATH"), "KRUN=" + krun}
	}

	t.Run("podman", func(t *testing.T) {
		p, err := newPodman(roomDir+"/machines-podman", s.runtime)
		check(t, err)
		addConfig(t, roomDir+"/machines-podman/containers.conf", "podman's machines", krun, `[network]
network_backend = "cni"
cni_plugin_dirs = ["`+packagesDir+`/usr/lib/cni"]
network_config_dir = "`+roomDir+`/machines-podman/net.d"
default_network = "machines"
`)
		check(t, os.Mkdir(roomDir+"/machines-podman/net.d", 0o755))
		check(t, os.WriteFile(roomDir+"/machines-podman/net.d/machines.conflist", []byte(machineNetwork), 0o644))
		load(t, p.command, "load", "-q", "-i", s.image)
		s.run(t, "machines-podman", path(p.command)...)
	})
	t.Run("Docker", func(t *testing.T) {
		dir := roomDir + "/machines-docker"
		config, err := documented("Docker's machines", krun)
		check(t, err)
		d, err := startDocker(t, dir, s.runtime, config)
		check(t, err)
		load(t, d.command, "load", "-q", "-i", s.image)
		s.run(t, "machines-docker", path(d.command)...)
	})
	t.Run("containerd", func(t *testing.T) {
		class, err := documented("containerd's machines", krun)
		check(t, err)
		c, err := startContainerd(t, debianEngines, roomDir+"/machines-containerd", s.runtime, "", class)
		check(t, err)
		load(t, c.command, "images", "import", "--snapshotter", "native", s.image)
		s.run(t, "machines-containerd", path(c.command)...)
		if _, err := os.Stat("../../build/crictl"); err != nil {
			t.Skip("no crictl: make build/crictl")
		}
		load(t, c.command, "--namespace", "k8s.io", "images", "import", s.image)
		s.run(t, "machines-cri", path(c.command)...)
	})
}

func load(t *testing.T, command string, args ...string) {
	t.Helper()
	if out, err := exec.Command(command, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", command, strings.Join(args, " "), err, out)
	}
}

// addConfig puts what docs/engines.md says, and more, behind a configuration.
func addConfig(t *testing.T, path, engine, runtime, more string) {
	t.Helper()
	text, err := documented(engine, runtime)
	check(t, err)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	check(t, err)
	_, err = f.WriteString(strings.TrimPrefix(text, "[engine.runtimes]\n") + more)
	check(t, err)
	check(t, f.Close())
}

// machineNetwork is podman's network of machines, by CNI plugins.
const machineNetwork = `{"cniVersion": "0.4.0", "name": "machines", "plugins": [
	{"type": "bridge", "bridge": "cni7", "isGateway": true, "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.87.0.0/24"}]]}}]}`
