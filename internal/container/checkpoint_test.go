package container

import (
	"os"
	"path/filepath"
	"testing"
)

func TestConfiguredLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "criu.conf")
	for text, want := range map[string]string{
		"tcp-established\nlog-file=dump.txt\n":          "dump.txt",
		"log-file /var/log/criu.log # where":            "/var/log/criu.log",
		"  log-file \"of two.log\"\n":                   "of two.log",
		"# log-file=no\nlog-filename=no\nlog-level 4\n": "",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := configuredLog(path); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := configuredLog(path + ".none"); got != "" {
		t.Errorf("no file: %q", got)
	}
}
