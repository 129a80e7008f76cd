package cli

import (
	"strconv"

	"ostia/internal/container"

	"golang.org/x/sys/unix"
)

var createCommand = command{
	name:     "create",
	synopsis: "[flags] CONTAINER",
	summary:  "create a container that waits for start",
	description: "create makes a container from a bundle: a folder with a config.json and, usually, a root file system. " +
		"Everything is in place when it returns, the entry point is known to be runnable, and nothing of it has run. " +
		"The container's id may hold letters, digits and _ + - . and does not begin with a dot.",
	flags: []flag{
		bundleFlag, configFlag, consoleSocketFlag, pidfdSocketFlag, pidFileFlag,
		noPivotFlag, noNewKeyringFlag, preserveFDsFlag,
		{name: "no-subreaper", kind: boolean, help: "does nothing here, as in crun"},
		traceFlag,
	},
	min: 1, max: 1,
	runsProgram: true,
	run:         create,
}

// Flags that several commands share.
var (
	bundleFlag        = flag{name: "bundle", short: 'b', kind: text, value: "DIR", help: "the bundle (default: the working directory)"}
	configFlag        = flag{name: "config", short: 'f', kind: text, value: "FILE", help: "the configuration (default: config.json in the bundle)"}
	consoleSocketFlag = flag{name: "console-socket", kind: text, value: "SOCKET", help: "AF_UNIX socket that receives the terminal's descriptor"}
	pidfdSocketFlag   = flag{name: "pidfd-socket", kind: text, value: "SOCKET", help: "AF_UNIX socket that receives a pidfd of the process"}
	pidFileFlag       = flag{name: "pid-file", kind: text, value: "FILE", help: "write the process id to FILE"}
	noPivotFlag       = flag{name: "no-pivot", kind: boolean, help: "move the root mount instead of pivot_root(2), for a root on an initramfs"}
	noNewKeyringFlag  = flag{name: "no-new-keyring", kind: boolean, help: "keep the caller's session keyring"}
	preserveFDsFlag   = flag{name: "preserve-fds", kind: number, value: "N", help: "hand N more descriptors to the process, from 3 on, behind those of $LISTEN_FDS"}
	traceFlag         = flag{name: "trace", kind: text, value: "FILE", help: "write the time of every phase to FILE, as Chrome trace JSON"}
)

func create(in *invocation) (int, error) {
	r, err := newRuntime(in)
	if err != nil {
		return 0, err
	}
	o, err := createOptions(in)
	if err != nil {
		return 0, err
	}
	return 0, r.Create(o)
}

func createOptions(in *invocation) (container.CreateOptions, error) {
	listen, err := listenFDs()
	names, _ := unix.Getenv("LISTEN_FDNAMES")
	notify, _ := unix.Getenv("NOTIFY_SOCKET")
	return container.CreateOptions{
		ID:            in.args[0],
		Bundle:        in.text("bundle"),
		Config:        in.text("config"),
		ConsoleSocket: in.text("console-socket"),
		PidFile:       in.text("pid-file"),
		PidfdSocket:   in.text("pidfd-socket"),
		ListenFDs:     listen,
		ListenNames:   names,
		PreserveFDs:   in.number("preserve-fds"),
		NotifySocket:  notify,
		NoPivot:       in.is("no-pivot"),
		NoNewKeyring:  in.is("no-new-keyring"),
		NoSubreaper:   in.is("no-subreaper"),
		Detach:        in.is("detach"),
		Keep:          in.is("keep"),
		Trace:         in.text("trace"),
	}, err
}

// listenFDs is how many descriptors systemd has activated for this process
// (sd_listen_fds(3)). Without LISTEN_PID they are taken for ours, as crun does.
func listenFDs() (int, error) {
	text, _ := unix.Getenv("LISTEN_FDS")
	pid, _ := unix.Getenv("LISTEN_PID")
	if text == "" || pid != "" && pid != strconv.Itoa(unix.Getpid()) {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, usageError("LISTEN_FDS=" + text + ": not a number from 0 to 65535")
	}
	return int(n), nil
}
