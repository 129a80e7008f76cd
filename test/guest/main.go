// Command guest runs a command in a small virtual machine that has what this
// machine may lack: cgroup v2 with every controller, Debian's stock kernel.
// QEMU emulates it (no KVM), the root file system is this machine's, read-only
// below a throw-away layer. The command's output comes out and its exit status
// is the guest's.
//
//	guest [-arch arm64] [-m MiB] [-c CPUS] [-t DURATION] [-v] [-systemd] [-nested] [-append WORDS] -- COMMAND [ARG...]
//
// With -arch arm64 a root file system of that architecture is laid over this machine's.
//
// 124: the time was over. 125: the guest ended without a status.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

func main() {
	var m machine
	flag.StringVar(&m.arch, "arch", "amd64", "amd64 or arm64")
	flag.IntVar(&m.memory, "m", 2048, "memory in MiB")
	flag.IntVar(&m.cpus, "c", 2, "virtual CPUs")
	flag.DurationVar(&m.limit, "t", 10*time.Minute, "the guest is ended after this time")
	flag.BoolVar(&m.verbose, "v", false, "show the guest's console")
	flag.BoolVar(&m.systemd, "systemd", false, "boot systemd and run the command as a service of it")
	newest := flag.Bool("newest", false, "boot the newest kernel that there is a package of")
	flag.BoolVar(&m.nested, "nested", false, "the command runs machines")
	flag.StringVar(&m.append, "append", "", "more words for the kernel's command line")
	flag.Parse()
	if flag.NArg() == 0 || m.arch != "amd64" && m.arch != "arm64" {
		flag.Usage()
		os.Exit(2)
	}
	status, err := run(m, *newest, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		status = 125
		if errors.Is(err, errTime) {
			status = 124
		}
	}
	os.Exit(status)
}

func run(m machine, newest bool, argv []string) (int, error) {
	cache := os.Getenv("OSTIA_CACHE")
	if cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return 0, err
		}
		cache = filepath.Join(dir, "ostia")
	}
	deps := "test"
	switch {
	case m.arch != "amd64":
		deps = m.arch
	case newest:
		deps = "newest"
	}
	if deps != "test" {
		cache = filepath.Join(cache, deps)
	}
	if newest { // Debian 12's CRIU does not know that kernel
		os.Setenv("CRIU_FOLDER", filepath.Join(cache, "criu", "usr", "sbin"))
	}
	b, err := prepareBoot(cache, m.arch)
	if err != nil {
		return 0, fmt.Errorf("%w (test/deps %s fetches what is needed)", err, deps)
	}
	return m.run(b, argv)
}
