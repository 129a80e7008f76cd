package engines

import (
	"bytes"
	"encoding/xml"
	"flag"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var (
	suite      = flag.String("critest", "", "run this critest, of cri-tools, and nothing else of containerd")
	suiteFocus = flag.String("critest.focus", "", "only those of its tests whose names match this")
)

// TestSuite runs the conformance tests of the CRI that others wrote. They pull
// images, which a registry in this process serves under all their names.
func TestSuite(t *testing.T) {
	if *suite == "" || *crioDir != "" {
		t.Skip("make critest runs it")
	}
	s := prepare(t)
	images, address := serveImages(t)
	c, err := startContainerd(t, debianEngines, roomDir+"/containerd", s.runtime, address, "")
	check(t, err)
	runSuite(t, images, "unix://"+c.socket)
}

func serveImages(t *testing.T) (images registry, address string) {
	images, err := suiteImages()
	check(t, err)
	address, err = images.serve(t)
	check(t, err)
	return images, address
}

func runSuite(t *testing.T, images registry, endpoint string) {
	program, err := os.ReadFile(*suite)
	check(t, err)
	// It names one image by a digest, which only its own registry has: both are as long.
	own := images.tags["k8s-staging-cri-tools/test-image-digest:latest"]
	program = bytes.ReplaceAll(program, []byte("sha256:9700f9a2f5bf2c45f2f605a0bd3bce7cf37420ec9d3ed50ac2758413308766bf"), []byte(own))
	critest, reports := roomDir+"/critest", roomDir+"/reports"
	check(t, os.WriteFile(critest, program, 0o755))
	check(t, os.WriteFile(roomDir+"/critest.yaml", nil, 0o644))
	check(t, os.MkdirAll(reports, 0o755))
	cmd := exec.Command(critest, "--config", roomDir+"/critest.yaml", "--runtime-endpoint", endpoint, "--image-endpoint", endpoint,
		"--runtime-handler", "ostia", "--ginkgo.junit-report", reports+"/critest.xml", "--ginkgo.no-color", "--ginkgo.seed", "1", "--ginkgo.focus", *suiteFocus)
	out, runErr := cmd.CombinedOutput()
	outcome, err := readReports(reports)
	if err != nil || testing.Verbose() {
		t.Logf("%s", out)
	}
	check(t, err)
	count := map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(outcome)) {
		count[outcome[name]]++
		t.Logf("%s: %s", outcome[name], name)
	}
	t.Logf("critest: %v", count)
	if count["passed"] == 0 || (runErr != nil) != (count["failed"] > 0) {
		t.Fatalf("critest: %v, %v", runErr, count)
	}
	for name, how := range outcome {
		if how == "failed" && !slices.Contains(notRuntime, name) {
			t.Errorf("failed: %s", name)
		}
	}
}

// notRuntime are the tests that fail with every runtime: docs/engines.md says why.
var notRuntime = []string{
	"[k8s.io] Idempotence StopContainer should not return an error if not found",
	"[k8s.io] Idempotence StopPodSandbox should not return an error if not found",
}

// readReports returns "passed", "failed" or "skipped" of every test by its name.
func readReports(dir string) (map[string]string, error) {
	outcome := map[string]string{}
	files, err := filepath.Glob(dir + "/*.xml")
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		var report struct {
			Cases []struct {
				Name   string `xml:"name,attr"`
				Status string `xml:"status,attr"`
			} `xml:"testsuite>testcase"`
		}
		if err := xml.Unmarshal(text, &report); err != nil {
			return nil, err
		}
		for _, c := range report.Cases {
			name, found := strings.CutPrefix(c.Name, "[It] ")
			switch {
			case !found: // what surrounds the tests
			case c.Status == "passed" || c.Status == "skipped":
				outcome[name] = c.Status
			default:
				outcome[name] = "failed"
			}
		}
	}
	return outcome, err
}
