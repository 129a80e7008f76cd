package test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// The ordinary user that rootless commands run as, and its subordinate ids.
const (
	rootlessUID   = 54321
	rootlessFirst = 200000
	rootlessCount = 65536
)

// rootless [=STATUS] [>FILE] ARG... runs the runtime as an ordinary user who has
// subordinate ids, and requires the exit status. The user exists only in a private mount namespace, where
// prepared files lie over /etc/passwd and its kin: nothing of this machine
// changes.
func rootless(ts *testscript.TestScript, neg bool, args []string) {
	dir := filepath.Join(ts.Getenv("WORK"), ".rootless")
	if !fileExists(dir) {
		ts.Check(os.Mkdir(dir, 0o755))
		uid := strconv.Itoa(rootlessUID)
		ids := "ostiatest:" + strconv.Itoa(rootlessFirst) + ":" + strconv.Itoa(rootlessCount) + "\n"
		for name, content := range map[string]string{
			"passwd": "root:x:0:0:root:/root:/bin/sh\nostiatest:x:" + uid + ":" + uid + "::/tmp:/bin/sh\n",
			"group":  "root:x:0:\nostiatest:x:" + uid + ":\n",
			"subuid": ids,
			"subgid": ids,
		} {
			ts.Check(os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
		}
		// The bundles and the state are the user's.
		ts.Check(ts.Exec("chown", "-R", uid+":"+uid, ts.Getenv("WORK")))
	}
	const script = `for f in passwd group subuid subgid; do
	[ -e /etc/$f ] || : >/etc/$f
	mount --bind "$0/$f" /etc/$f
done
export XDG_RUNTIME_DIR="$0/run"; mkdir -p "$XDG_RUNTIME_DIR"; chown UID:UID "$XDG_RUNTIME_DIR"
exec setpriv --reuid UID --regid UID --clear-groups --inh-caps=-all "$@"`
	prefix := []string{"unshare", "--mount", "sh", "-ec", strings.ReplaceAll(script, "UID", strconv.Itoa(rootlessUID)), dir}
	want, exact := "", false
	if len(args) > 0 {
		if want, exact = strings.CutPrefix(args[0], "="); exact {
			args = args[1:]
		}
	}
	err := runtimeCommand(ts, prefix, args)
	var exit *exec.ExitError
	if exact && errors.As(err, &exit) {
		if got := strconv.Itoa(exit.ExitCode()); got != want {
			ts.Fatalf("ostia %s: exit status %s, want %s", strings.Join(args, " "), got, want)
		}
		return
	}
	if (err != nil) != neg {
		ts.Fatalf("ostia %s: %v", strings.Join(args, " "), err)
	}
}
