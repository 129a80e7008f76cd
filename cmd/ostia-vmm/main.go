// Command ostia-vmm is the microVM handler's other half: what ostia starts on
// the host to prepare a machine, to run it, to stand for a process in it or
// to ask about them; and the init of the guest. People do not call it: `ostia --handler vm` does.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"

	"ostia/internal/vm/agent"
	"ostia/internal/vm/monitor"
	"ostia/internal/vm/prepare"
)

func main() {
	// A start has one: toolchain/. One more than the host has, because a thread that has entered the guest
	// keeps its own until sysmon takes it away, and a device that is notified then would wait for that: on a
	// host with one processor the guest's removals of files took 1.6 times as long.
	runtime.GOMAXPROCS(runtime.NumCPU() + 1)
	os.Exit(run(os.Args))
}

func run(args []string) int {
	switch {
	case os.Getpid() == 1 && args[0] == "/init":
		agent.Main()
	case args[0] == agent.RunnerName:
		return agent.Runner(args[1:])
	case len(args) == 3 && args[1] == "prepare":
		return prepare.Main(args[2])
	case len(args) == 3 && args[1] == "passt":
		return monitor.Passt(args[2])
	case len(args) == 11 && args[1] == "monitor":
		if fds, ok := numbers(args[2:10]); ok {
			return monitor.Main(monitor.Files{KVM: fds[0], Kernel: fds[1], Initrd: fds[2], Setup: fds[3], Control: fds[4], Reason: fds[5], Wire: fds[6], Trace: fds[7], Alone: args[10] == "alone"})
		}
	case len(args) == 5 && args[1] == "ask":
		return monitor.Ask(args[2], args[3], args[4])
	case len(args) == 5 && args[1] == "exec":
		if fds, ok := numbers(args[2:4]); ok {
			return monitor.Exec(fds[0], fds[1], args[4] == "terminal")
		}
	}
	fmt.Fprintln(os.Stderr, "ostia-vmm: is started by ostia alone: see ostia --help")
	return 2
}

// numbers are descriptors, as arguments; "-" is none, which is -1.
func numbers(args []string) (fds []int, ok bool) {
	for _, a := range args {
		if a == "-" {
			fds = append(fds, -1)
			continue
		}
		n, err := strconv.Atoi(a)
		if err != nil || n < 0 {
			return nil, false
		}
		fds = append(fds, n)
	}
	return fds, true
}
