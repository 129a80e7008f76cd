// Command bench runs ostia beside other OCI runtimes, in turn, in one private
// mount namespace with cgroup v2, and says how long each takes. `make bench`.
//
// Only ratios of one run mean anything: machines differ, and one machine
// differs from minute to minute.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func main() {
	ostia := flag.String("ostia", "ostia", "the binary to measure")
	runs := flag.Int("n", 100, "rounds of each measurement")
	only := flag.String("only", "", "only measurements whose names hold this")
	out := flag.String("out", "bench", "folder for latest.json and latest.svg")
	with := flag.String("with", "", "a latest.json of elsewhere whose measurements are added")
	inside := flag.Bool("inside", false, "already in the private mount namespace")
	flag.Parse()
	if err := bench(*ostia, *runs, *only, *out, *with, *inside); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(ostia string, runs int, only, out, with string, inside bool) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("needs root")
	}
	if !inside {
		return enter()
	}
	runtimes, err := find(ostia)
	if err != nil {
		return err
	}
	b, err := newField(runtimes, runs)
	if err != nil {
		return err
	}
	defer b.remove()
	where := conditions()
	var results []result
	for _, m := range measurements {
		if !strings.Contains(m.name, only) {
			continue
		}
		fmt.Fprintf(os.Stderr, "bench: %s ...\n", m.name)
		r, err := m.measure(b, m.name)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		results = append(results, r...)
	}
	if with != "" {
		elsewhere, there, err := readJSON(with)
		if err != nil {
			return err
		}
		for _, r := range elsewhere {
			where += fmt.Sprintf("; %s: %s", r.Measurement, there)
			break
		}
		results = append(results, elsewhere...)
	}
	printTable(os.Stdout, results)
	fmt.Println("\non " + where)
	if err := writeJSON(filepath.Join(out, "latest.json"), where, runtimes, results); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "latest.svg"), drawing(where, results), 0o644)
}

// enter runs this program again in a mount namespace of its own with cgroup v2
// over /sys/fs/cgroup: crun refuses a hybrid tree, and nobody's runs are to
// change the host's. /run, where all runtimes keep their state, is a tmpfs, as
// on every host with systemd.
func enter() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	script := `{ [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ] || mount -t cgroup2 cgroup2 /sys/fs/cgroup; } && mount -t tmpfs tmpfs /run && exec "$0" -inside "$@"`
	cmd := exec.Command("sh", append([]string{"-c", script, self}, os.Args[1:]...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	return cmd.Run()
}

// conditions says what was measured on: figures of a busy machine are not
// those of an idle one.
func conditions() string {
	var uts unix.Utsname
	_ = unix.Uname(&uts)
	load, _ := os.ReadFile("/proc/loadavg")
	minute, _, _ := strings.Cut(string(load), " ")
	s := fmt.Sprintf("Linux %s, %d CPUs, load %s before the first run", unix.ByteSliceToString(uts.Release[:]), runtime.NumCPU(), minute)
	if attr, err := unix.SchedGetAttr(0, 0); err == nil && (attr.Policy == unix.SCHED_FIFO || attr.Policy == unix.SCHED_RR) {
		s += ", at real-time priority"
	}
	return s
}

// program is a runtime under measurement.
type program struct {
	Name    string `json:"name"`
	Path    string `json:"path"`
	Version string `json:"version"`
}

// find is ostia and the peers: those of PEERS, or crun and runc on PATH.
func find(ostia string) ([]program, error) {
	paths := []string{ostia}
	if peers := os.Getenv("PEERS"); peers != "" {
		paths = append(paths, strings.Split(peers, ",")...)
	} else {
		for _, name := range []string{"crun", "runc"} {
			if path, err := exec.LookPath(name); err == nil {
				paths = append(paths, path)
			}
		}
	}
	var list []program
	for _, path := range paths {
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		out, err := exec.Command(abs, "--version").Output()
		if err != nil {
			return nil, fmt.Errorf("%s --version: %w", path, err)
		}
		first, _, _ := strings.Cut(string(out), "\n")
		list = append(list, program{filepath.Base(path), abs, first})
	}
	return list, nil
}
