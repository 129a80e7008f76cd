package cgroup

import (
	"os"
	"os/exec"
	"testing"
)

// TestVersion2 runs these tests again in a mount namespace whose
// /sys/fs/cgroup is the version 2 hierarchy, on a host of version 1.
func TestVersion2(t *testing.T) {
	if os.Geteuid() != 0 || isV2(t) {
		t.Skip("needs root and cgroup v1")
	}
	if os.Getenv("CGROUP_TEST_PRIVATE") != "" {
		t.Fatal("the private mount is not version 2")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-m", "--propagation", "private", "sh", "-c", "mount -t cgroup2 none " + root + ` && exec "$@"`, "sh", self}
	if testing.Verbose() {
		args = append(args, "-test.v")
	}
	cmd := exec.Command("unshare", args...)
	cmd.Env = append(os.Environ(), "CGROUP_TEST_PRIVATE=1")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}
