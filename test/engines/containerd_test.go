package engines

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestContainerd(t *testing.T) {
	s := prepare(t)
	c, err := startContainerd(t, debianEngines, roomDir+"/containerd", s.runtime, "", "")
	check(t, err)
	if out, err := exec.Command(c.command, "images", "import", "--snapshotter", "native", s.image).CombinedOutput(); err != nil {
		t.Fatalf("ctr images import: %v\n%s", err, out)
	}
	path := "PATH=" + filepath.Dir(c.command) + ":" + os.Getenv("PATH")
	t.Run("ctr", func(t *testing.T) { s.run(t, "containerd", path) })
	t.Run("CRI", func(t *testing.T) {
		if testing.Short() {
			t.Skip("crictl is built for the whole test only")
		}
		if out, err := exec.Command(c.command, "--namespace", "k8s.io", "images", "import", s.image).CombinedOutput(); err != nil {
			t.Fatalf("ctr images import: %v\n%s", err, out)
		}
		s.run(t, "cri", path, "ENGINE=containerd")
	})
}

// containerd is a running containerd with its CRI plugin, of which ostia is
// the runtime class "ostia" and the default.
type containerd struct {
	command string // the client, named ctr, for a PATH
	socket  string
}

// startContainerd starts the containerd of a folder of programs; its files are
// all in dir. Whatever its CRI plugin pulls comes from the registry at this
// address, if one is given; more are further runtime classes.
func startContainerd(t *testing.T, programs, dir, runtime, registry, more string) (containerd, error) {
	bin := filepath.Join(dir, "bin")
	c := containerd{filepath.Join(bin, "ctr"), dir + "/sock"}
	for _, d := range []string{bin, filepath.Join(dir, "net.d"), filepath.Join(dir, "registries/_default")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return c, err
		}
	}
	class, err := documented("containerd", runtime)
	if err != nil {
		return c, err
	}
	config := fmt.Sprintf(`version = 2
root = %q
state = %q
[grpc]
address = %q
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = %q
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = %q
conf_dir = %q
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = %q
[plugins."io.containerd.grpc.v1.cri".containerd]
default_runtime_name = "ostia"
%s%s`, dir+"/root", dir+"/state", c.socket, pauseName, packagesDir+"/usr/lib/cni", dir+"/net.d", dir+"/registries", class, more)
	wrapper := "#!/bin/sh\nexec " + programs + "/ctr --address " + c.socket + " --namespace engines \"$@\"\n"
	mirror := ""
	if registry != "" {
		mirror = "[host.\"http://" + registry + "\"]\ncapabilities = [\"pull\", \"resolve\"]\n"
	}
	for name, content := range map[string]string{
		"config.toml":                    config,
		"registries/_default/hosts.toml": mirror,
		"net.d/10-pods.conflist":         podNetwork,
		"crictl.yaml":                    "",
		"bin/ctr":                        wrapper,
		"bin/crictl":                     crictlScript(dir, c.socket),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
			return c, err
		}
	}
	if err := writeIptables(bin); err != nil {
		return c, err
	}
	for name, program := range map[string]string{
		"runc":                    runtime, // what it runs unless told otherwise
		"containerd-shim-runc-v2": programs + "/containerd-shim-runc-v2",
	} {
		if err := os.Symlink(program, filepath.Join(bin, name)); err != nil {
			return c, err
		}
	}
	return c, startDaemon(t, filepath.Join(dir, "log"), bin,
		[]string{programs + "/containerd", "--config", dir + "/config.toml"}, []string{c.command, "version"}, soon)
}

// podNetwork is the network of pods: a bridge of their own, which needs no
// packet filter, and ports of the host, which do where a pod has one.
const podNetwork = `{"cniVersion": "0.4.0", "name": "pods", "plugins": [
	{"type": "bridge", "bridge": "cni0", "isGateway": true, "ipam": {"type": "host-local", "subnet": "10.88.0.0/16"}},
	{"type": "portmap", "capabilities": {"portMappings": true}}]}`

// crictlScript runs the client that make engines has built.
func crictlScript(dir, socket string) string {
	program, _ := filepath.Abs("../../build/crictl")
	return "#!/bin/sh\nexec " + program + " --config " + dir + "/crictl.yaml --timeout 60s --runtime-endpoint unix://" + socket +
		" --image-endpoint unix://" + socket + " \"$@\"\n"
}

// writeIptables makes commands of Debian's iptables, which is not installed, in
// a folder for a PATH.
func writeIptables(bin string) error {
	tables := cacheDir() + "/iptables/usr"
	for name, program := range map[string]string{
		"iptables": "iptables-nft", "iptables-save": "iptables-nft-save", "iptables-restore": "iptables-nft-restore",
		"ip6tables": "ip6tables-nft", "ip6tables-save": "ip6tables-nft-save", "ip6tables-restore": "ip6tables-nft-restore",
	} {
		script := "#!/bin/sh\nXTABLES_LIBDIR=$(echo " + tables + "/lib/*/xtables) exec " + tables + "/sbin/" + program + " \"$@\"\n"
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
			return err
		}
	}
	return nil
}
