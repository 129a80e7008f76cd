package engines

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// soon is how long a daemon may take until it answers.
const soon = 2 * time.Minute

// startDaemon starts a program with bin and Debian's engines first on its PATH
// and waits until a command that asks it succeeds, within that time. It ends with
// the test, which shows its complaints if it has failed.
func startDaemon(t *testing.T, log, bin string, daemon, ask []string, within time.Duration) error {
	out, err := os.Create(log)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(daemon[0], daemon[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+packagesDir+"/usr/bin:"+packagesDir+"/usr/sbin:"+os.Getenv("PATH"))
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			t.Errorf("%s does not end", daemon[0])
			cmd.Process.Kill()
		}
		if t.Failed() {
			text, _ := os.ReadFile(log)
			t.Logf("%s:\n%s", log, complaints(string(text)))
		}
	})
	late := time.After(within)
	for {
		answer, err := exec.Command(ask[0], ask[1:]...).CombinedOutput()
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("%s ended at once", daemon[0])
		case <-late:
			return fmt.Errorf("%s does not answer: %w\n%s", daemon[0], err, answer)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// told is in a line that says of no failure, as containerd, etcd and the kubelet write it.
var told = regexp.MustCompile(`level"?[=:]"?(info|warn)|^[IW][0-9]{4} `)

// complaints are the lines of a log that say that something failed.
func complaints(log string) string {
	var b strings.Builder
	for line := range strings.Lines(log) {
		if !told.MatchString(line) {
			b.WriteString(line)
		}
	}
	return b.String()
}
