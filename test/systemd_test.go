package test

import (
	"os/exec"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// The ordinary user of the guest with systemd, and how commands run as that
// user: from outside of the cgroups that the user's manager has, as a login
// session is, and with -in from within.
const systemdUser = "4321"

var (
	asUser = []string{"setpriv", "--reuid", systemdUser, "--regid", systemdUser, "--clear-groups", "--inh-caps=-all",
		"env", "XDG_RUNTIME_DIR=/run/user/" + systemdUser}
	inScope = []string{"systemd-run", "--user", "--scope", "--quiet", "--collect"}
)

// user [-in] [>FILE] ARG... runs the runtime as the user who has a service
// manager.
func user(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(ts.Exec("chown", "-R", systemdUser+":"+systemdUser, ts.Getenv("WORK")))
	prefix := asUser
	if len(args) > 0 && args[0] == "-in" {
		prefix, args = append(prefix[:len(prefix):len(prefix)], inScope...), args[1:]
	}
	if err := runtimeCommand(ts, prefix, args); (err != nil) != neg {
		ts.Fatalf("ostia %s: %v", strings.Join(args, " "), err)
	}
}

// units lists the units that carry the id, of the system's manager and of the
// user's.
func units(id string) []string {
	if !fileExists("/run/systemd/system") {
		return nil
	}
	var found []string
	for _, prefix := range [][]string{{"systemctl"}, append(asUser[:len(asUser):len(asUser)], "systemctl", "--user")} {
		argv := append(prefix, "list-units", "--all", "--plain", "--no-legend", "*"+id+"*")
		out, err := exec.Command(argv[0], argv[1:]...).Output()
		if err != nil {
			return []string{"unknown: " + err.Error()}
		}
		for line := range strings.Lines(string(out)) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}
