// Package initramfs makes the guest's first file system: the agent as /init and
// the modules that the kernel has not built in, in the order in which they
// load. What differs from container to container comes in a second archive.
package initramfs

import "fmt"

// Modules is the folder of the modules, which the agent loads in the order of
// their names; NetworkModules that of those which a guest with a network takes
// besides; LateModules that of those which can wait until the entry point runs;
// and Config the file of the second archive.
const (
	Modules        = "m"
	NetworkModules = "n"
	LateModules    = "l"
	Config         = "machine.json"
	MarkEnd        = "\n" // left out of the mark of a signed module
)

// Module is a kernel module: its name and its ELF file.
type Module struct {
	Name    string
	Content []byte
}

// Make builds the archive from the agent's program and the modules by folder, in
// the order in which they load.
func Make(agent []byte, modules map[string][]Module) []byte {
	var a archive
	for _, d := range []string{"dev", "proc", "sys", "run", "tmp", Modules, NetworkModules, LateModules} {
		a.add(d, folder|0o755, 0, 0, nil)
	}
	// The kernel opens the console for init, and the Go runtime opens null for
	// what is missing of descriptors 0 to 2.
	a.add("dev/console", device|0o600, 5, 1, nil)
	a.add("dev/null", device|0o666, 1, 3, nil)
	a.add("init", file|0o755, 0, 0, agent)
	for _, folder := range []string{Modules, NetworkModules, LateModules} {
		for i, m := range modules[folder] {
			a.add(fmt.Sprintf("%s/%02d-%s", folder, i, m.Name), file|0o644, 0, 0, m.Content)
		}
	}
	return a.bytes()
}

// Extra is a further archive, which holds a file: a container's configuration.
func Extra(name string, content []byte) []byte {
	var a archive
	a.add(name, file|0o600, 0, 0, content)
	return a.bytes()
}
