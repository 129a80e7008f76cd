package engines

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

var kubernetesDir = flag.String("kubernetes", "", "a folder with etcd, kube-apiserver, kubelet and kubectl, and the containerd that they want, which Debian has no packages of")

func TestKubernetes(t *testing.T) {
	if *kubernetesDir == "" {
		t.Skip("no -kubernetes DIR")
	}
	if guest, _ := condition("guest"); !guest {
		t.Skip("the kubelet changes settings of the kernel: only in the guest")
	}
	s := prepare(t)
	dir := roomDir + "/kubernetes"
	c, err := startContainerd(t, *kubernetesDir, dir, s.runtime, "", "")
	check(t, err)
	if out, err := exec.Command(c.command, "--namespace", "k8s.io", "images", "import", "--local", s.image).CombinedOutput(); err != nil {
		t.Fatalf("ctr images import: %v\n%s", err, out)
	}
	check(t, startKubernetes(t, dir, c))
	path := "PATH=" + filepath.Dir(c.command) + ":" + os.Getenv("PATH")
	s.run(t, "kubernetes", path, "KUBECONFIG="+dir+"/kubeconfig")
}

// startKubernetes starts a cluster of this machine alone, a node called "node":
// no scheduler and no controller, a pod names its node. Its files are in dir,
// where containerd's are, too.
func startKubernetes(t *testing.T, dir string, c containerd) error {
	bin := filepath.Join(dir, "bin")
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	kubelet := fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
containerRuntimeEndpoint: unix://%s
cgroupDriver: cgroupfs
failSwapOn: false
evictionHard: {memory.available: "0%%", nodefs.available: "0%%", imagefs.available: "0%%", nodefs.inodesFree: "0%%"}
imageGCHighThresholdPercent: 100
podLogsDir: %s/logs
runtimeRequestTimeout: 10m
resolvConf: ""
`, c.socket, dir)
	for name, content := range map[string]string{
		"kubelet.yaml": kubelet,
		"tokens":       "secret,admin,admin,system:masters\n",
		"kubeconfig": `apiVersion: v1
kind: Config
clusters: [{name: room, cluster: {server: "https://127.0.0.1:6443", insecure-skip-tls-verify: true}}]
users: [{name: admin, user: {token: secret}}]
contexts: [{name: room, context: {cluster: room, user: admin}}]
current-context: room
`,
		"accounts.key": string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
		"bin/kubectl":  "#!/bin/sh\nexec " + *kubernetesDir + "/kubectl --request-timeout 2m \"$@\"\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
			return err
		}
	}
	kubectl := func(words ...string) []string {
		return append([]string{bin + "/kubectl", "--kubeconfig", dir + "/kubeconfig"}, words...)
	}
	// A node has an address that is not the loopback device's.
	for _, words := range [][]string{{"link", "add", "node", "type", "dummy"}, {"address", "add", "192.0.2.1/24", "dev", "node"}, {"link", "set", "node", "up"}} {
		if out, err := exec.Command("ip", words...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip: %w, %s", err, out)
		}
	}
	// In the guest an API server takes two minutes. etcd is not asked: the API
	// server is ready when it has found it.
	for _, d := range []struct {
		command, ask []string
	}{
		{[]string{"etcd", "--data-dir", dir + "/etcd", "--unsafe-no-fsync", "--heartbeat-interval", "1000", "--election-timeout", "10000"},
			[]string{"true"}},
		{[]string{"kube-apiserver", "--etcd-servers", "http://127.0.0.1:2379", "--cert-dir", dir + "/certificates", "--token-auth-file", dir + "/tokens",
			"--authorization-mode", "AlwaysAllow", "--disable-admission-plugins", "ServiceAccount", "--allow-privileged",
			"--service-account-key-file", dir + "/accounts.key", "--service-account-signing-key-file", dir + "/accounts.key",
			"--service-account-issuer", "https://kubernetes.default.svc", "--service-cluster-ip-range", "10.96.0.0/16",
			"--bind-address", "127.0.0.1", "--advertise-address", "192.0.2.1", "--kubelet-preferred-address-types", "InternalIP"},
			kubectl("get", "--raw", "/readyz")},
		{[]string{"kubelet", "--config", dir + "/kubelet.yaml", "--kubeconfig", dir + "/kubeconfig", "--root-dir", dir + "/kubelet",
			"--hostname-override", "node", "--node-ip", "192.0.2.1"},
			kubectl("wait", "--for", "condition=Ready", "node/node", "--timeout", "1s")},
	} {
		d.command[0] = filepath.Join(*kubernetesDir, d.command[0])
		if err := startDaemon(t, filepath.Join(dir, filepath.Base(d.command[0])+".log"), bin, d.command, d.ask, 5*time.Minute); err != nil {
			return err
		}
	}
	return nil
}
