package cli

import (
	"strconv"
	"strings"
	"syscall"

	"ostia/internal/typo"
)

var killCommand = command{
	name:     "kill",
	synopsis: "[flags] CONTAINER [SIGNAL]",
	summary:  "send a signal to a container",
	description: "kill sends SIGNAL to the container's first process, or with --all to every process in its cgroup. SIGNAL is a number or a " +
		"name with or without SIG, RTMIN+3 and RTMAX-1 too. The default is TERM.",
	flags: []flag{
		{name: "all", short: 'a', kind: boolean, help: "signal every process of the container"},
		regexFlag,
	},
	min: 1, max: 2,
	stopAtFirst: true,
	run:         kill,
}

func kill(in *invocation) (int, error) {
	name := "TERM"
	if len(in.args) > 1 && in.args[1] != "" {
		name = in.args[1]
	}
	sig, err := signalNamed(name)
	if err != nil {
		return 0, err
	}
	r, err := newRuntime(in)
	if err != nil {
		return 0, err
	}
	if !in.is("regex") {
		return 0, r.Kill(in.args[0], sig, in.is("all"))
	}
	return 0, eachMatching(r, in.args[0], func(id string) error {
		return r.Kill(id, sig, in.is("all"))
	})
}

// signalNames are the names of signal(7) by number, which amd64, arm64 and
// riscv64 share.
var signalNames = [...]string{1: "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV",
	"USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
	"VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS"}

// The real-time signals that a program may use: the C libraries keep 32 and 33
// for themselves (signal(7)).
const (
	sigRTMin = 34
	sigRTMax = 64
)

func signalNamed(written string) (syscall.Signal, error) {
	if n, err := strconv.Atoi(written); err == nil {
		// 0 sends nothing and asks whether the process is there.
		if n < 0 || n > sigRTMax {
			return 0, usageError("kill: signal " + written + ": not a number from 0 to 64")
		}
		return syscall.Signal(n), nil
	}
	name := strings.TrimPrefix(strings.ToUpper(written), "SIG")
	for n := range signalNames {
		if n > 0 && signalNames[n] == name {
			return syscall.Signal(n), nil
		}
	}
	switch name {
	case "IOT":
		return syscall.SIGABRT, nil
	case "CLD":
		return syscall.SIGCHLD, nil
	case "POLL":
		return syscall.SIGIO, nil
	}
	if n, ok := realTime(name); ok {
		return syscall.Signal(n), nil
	}
	near := typo.Nearest(name, func(yield func(string) bool) {
		for _, known := range signalNames[1:] {
			if !yield(known) {
				return
			}
		}
	})
	return 0, usageError("kill: unknown signal " + strconv.Quote(written) + didYouMean(near, "use a number or a name of signal(7)"))
}

// realTime reads RTMIN, RTMIN+N, RTMAX and RTMAX-N.
func realTime(name string) (int, bool) {
	base, sign := sigRTMin, byte('+')
	rest, ok := strings.CutPrefix(name, "RTMIN")
	if !ok {
		base, sign = sigRTMax, '-'
		if rest, ok = strings.CutPrefix(name, "RTMAX"); !ok {
			return 0, false
		}
	}
	if rest == "" {
		return base, true
	}
	n, err := strconv.Atoi(rest)
	if rest[0] != sign || err != nil || base+n < sigRTMin || base+n > sigRTMax {
		return 0, false
	}
	return base + n, true
}
