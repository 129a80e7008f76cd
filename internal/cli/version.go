package cli

import (
	"path/filepath"
	"runtime"

	"ostia/internal/program"
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// version is ostia's own.
const version = "0.1.0"

// commit is set by the linker: -X ostia/internal/cli.commit=... Reading it
// from the build information would link fmt (runtime/debug).
var commit string

// calledAs is the name that the program goes by. In the place of runc or crun it
// speaks as a program of that name: tools look for it in the version.
func calledAs(args []string) string {
	if len(args) == 0 || args[0] == "" {
		return "ostia"
	}
	return filepath.Base(args[0])
}

// versionText is what podman and dockerd ask for: the first line ends in the
// version, "commit:" begins the line of the commit, and no other line may hold
// the word "version" (moby daemon/info_unix.go, parseRuntimeVersion).
func (in *invocation) versionText() string {
	s := in.program + " version " + version + "\n"
	if commit != "" {
		s += "commit: " + commit + "\n"
	}
	s += "spec: " + spec.Version + "\n" + "go: " + runtime.Version() + "\n"
	switch in.program {
	case "ostia":
		return s
	case "crun", "krun":
		s += crunFeatures() + "\n"
	}
	return s + "this is ostia, called as " + in.program + "\n"
}

// crunFeatures is the line of crun's version that tools look for words in. CRIU
// is there if a checkpoint could be made here.
func crunFeatures() string {
	s := "+SYSTEMD +SELINUX +APPARMOR +CAP +SECCOMP +EBPF"
	own, err := program.Beside("ostia-criu")
	if err == nil && unix.Access(own, unix.X_OK) == nil {
		if _, err := program.Find("criu"); err == nil {
			s += " +CRIU"
		}
	}
	return s
}
