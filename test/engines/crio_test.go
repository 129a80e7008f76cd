package engines

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var crioDir = flag.String("crio", "", "a folder with CRI-O's crio and pinns, which Debian has no packages of")

func TestCRIO(t *testing.T) {
	if *crioDir == "" {
		t.Skip("no -crio DIR")
	}
	s := prepare(t)
	images, address := serveImages(t)
	c, err := startCRIO(t, roomDir+"/crio", s.runtime, address)
	check(t, err)
	t.Run("CRI", func(t *testing.T) {
		if out, err := exec.Command(c.command, "pull", imageName).CombinedOutput(); err != nil {
			t.Fatalf("crictl pull: %v\n%s", err, out)
		}
		s.run(t, "cri", "PATH="+filepath.Dir(c.command)+":"+os.Getenv("PATH"), "ENGINE=crio")
	})
	if *suite != "" {
		t.Run("critest", func(t *testing.T) { runSuite(t, images, "unix://"+c.socket) })
	}
}

// crio is a running CRI-O with ostia as its default runtime.
type crio struct {
	command string // crictl, for a PATH
	socket  string
}

// startCRIO starts a CRI-O whose files are all in dir, and which pulls from the
// registry at this address.
func startCRIO(t *testing.T, dir, runtime, registry string) (crio, error) {
	bin := filepath.Join(dir, "bin")
	c := crio{filepath.Join(bin, "crictl"), dir + "/sock"}
	for _, d := range []string{bin, dir + "/net.d", dir + "/.config/containers", dir + "/ns", dir + "/exits"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return c, err
		}
	}
	class, err := documented("CRI-O", runtime)
	if err != nil {
		return c, err
	}
	config := fmt.Sprintf(`[crio]
root = "%[1]s/storage"
runroot = "%[1]s/run"
storage_driver = "overlay"
log_dir = "%[1]s/log"
version_file = "%[1]s/version"
clean_shutdown_file = "%[1]s/clean.shutdown"
[crio.api]
listen = "%[1]s/sock"
[crio.runtime]
default_runtime = "ostia"
cgroup_manager = "cgroupfs"
conmon = "%[2]s/usr/bin/conmon"
conmon_cgroup = "pod"
container_exits_dir = "%[1]s/exits"
container_attach_socket_dir = "%[1]s"
namespaces_dir = "%[1]s/ns"
pinns_path = "%[3]s/pinns"
apparmor_profile = "unconfined"
hooks_dir = []
irqbalance_config_file = ""
[crio.image]
pause_image = "%[4]s"
pause_command = ""
signature_policy = "%[1]s/.config/containers/policy.json"
signature_policy_dir = "%[1]s/policies"
[crio.network]
network_dir = "%[1]s/net.d"
plugin_dirs = ["%[2]s/usr/lib/cni"]
%[5]s`, dir, packagesDir, *crioDir, pauseName, class)
	registries := "short-name-mode = \"disabled\"\n"
	for _, name := range []string{"docker.io", "registry.k8s.io", "k8s.gcr.io", "gcr.io"} {
		registries += fmt.Sprintf("[[registry]]\nprefix = %q\nlocation = %q\ninsecure = true\n", name, registry)
	}
	for name, content := range map[string]string{
		"crio.conf":                          config,
		"net.d/10-pods.conflist":             podNetwork,
		"crictl.yaml":                        "",
		"bin/crictl":                         crictlScript(dir, c.socket),
		".config/containers/registries.conf": registries,
		".config/containers/policy.json":     `{"default": [{"type": "insecureAcceptAnything"}]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
			return c, err
		}
	}
	if err := writeIptables(bin); err != nil {
		return c, err
	}
	return c, startDaemon(t, dir+"/crio.log", bin,
		[]string{"env", "HOME=" + dir, filepath.Join(*crioDir, "crio"), "--config", dir + "/crio.conf", "--config-dir", ""},
		[]string{c.command, "version"}, soon)
}
