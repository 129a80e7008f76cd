package cli

import (
	"runtime"

	"ostia/internal/spec"
)

// version is ostia's own.
const version = "0.1.0"

// commit is set by the linker: -X ostia/internal/cli.commit=... Reading it
// from the build information would link fmt (runtime/debug).
var commit string

// versionText is what podman and dockerd ask for: the first line ends in the
// version, "commit:" begins the line of the commit, and no other line may hold
// the word "version" (moby daemon/info_unix.go, parseRuntimeVersion).
func versionText() string {
	s := "ostia version " + version + "\n"
	if commit != "" {
		s += "commit: " + commit + "\n"
	}
	return s + "spec: " + spec.Version + "\n" + "go: " + runtime.Version() + "\n"
}
