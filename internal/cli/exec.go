package cli

import "ostia/internal/container"

var execCommand = command{
	name:     "exec",
	synopsis: "[flags] CONTAINER COMMAND [ARG...]\n[flags] --process FILE CONTAINER",
	summary:  "run another process in a container",
	description: "exec runs COMMAND in a running container and ends with its exit status. The process is that of config.json, changed by " +
		"the flags, or that of the process file: then the flags that change it are refused, except --tty, which engines give anyway. " +
		"Flags end at CONTAINER.",
	flags: []flag{
		{name: "process", short: 'p', kind: text, value: "FILE", help: "a process object, as in config.json"},
		{name: "tty", short: 't', kind: boolean, help: "give the process a terminal"},
		{name: "cwd", kind: text, value: "DIR", help: "working directory in the container"},
		{name: "env", short: 'e', kind: texts, value: "NAME=VALUE", help: "add to the environment"},
		{name: "user", short: 'u', kind: text, value: "UID[:GID]", help: "user and group"},
		{name: "additional-gids", short: 'g', kind: ids, value: "GID", help: "add a group"},
		{name: "cap", short: 'c', kind: texts, value: "CAP", help: "add a capability"},
		{name: "no-new-privs", kind: boolean, help: "set no_new_privs (prctl(2))"},
		{name: "apparmor", kind: text, value: "PROFILE", help: "AppArmor profile"},
		{name: "process-label", kind: text, value: "LABEL", help: "SELinux label"},
		{name: "detach", short: 'd', kind: boolean, help: "return when the program has started"},
		pidFileFlag, consoleSocketFlag, pidfdSocketFlag, preserveFDsFlag,
		{name: "ignore-paused", kind: boolean, help: "wait for a paused container instead of refusing it"},
		{name: "cgroup", kind: texts, value: "[CONTROLLER[,...]:]PATH", help: "run in this cgroup below the container's; with controllers for cgroup v1, where it may be given several times"},
		traceFlag,
	},
	min: 1, max: -1,
	stopAtFirst: true,
	runsProgram: true,
	run:         exec,
}

// ofProcess are the flags that change the container's own process.
var ofProcess = [...]string{"cwd", "env", "user", "additional-gids", "cap", "no-new-privs", "apparmor", "process-label"}

func exec(in *invocation) (int, error) {
	if in.given("process") {
		for _, name := range ofProcess {
			if in.given(name) {
				return 0, usageError("exec: --process and --" + name + " exclude each other: write it into the process file")
			}
		}
		if len(in.args) > 1 {
			return 0, usageError("exec: --process and a command exclude each other")
		}
	} else if len(in.args) < 2 {
		return 0, usageError("exec: no command and no --process: " + in.command.usage(in.program))
	}
	var noNewPrivs *bool
	if in.given("no-new-privs") {
		given := in.is("no-new-privs")
		noNewPrivs = &given
	}
	listen, err := listenFDs()
	if err != nil {
		return 0, err
	}
	r, err := newRuntime(in)
	if err != nil {
		return 0, err
	}
	return r.Exec(in.args[0], container.ExecOptions{
		Process:        in.text("process"),
		Args:           in.args[1:],
		Cwd:            in.text("cwd"),
		Env:            in.texts("env"),
		User:           in.text("user"),
		AdditionalGids: in.ids("additional-gids"),
		Caps:           in.texts("cap"),
		TTY:            in.is("tty"),
		NoNewPrivs:     noNewPrivs,
		Apparmor:       in.text("apparmor"),
		ProcessLabel:   in.text("process-label"),
		Detach:         in.is("detach"),
		PidFile:        in.text("pid-file"),
		ConsoleSocket:  in.text("console-socket"),
		PidfdSocket:    in.text("pidfd-socket"),
		ListenFDs:      listen,
		PreserveFDs:    in.number("preserve-fds"),
		IgnorePaused:   in.is("ignore-paused"),
		Cgroups:        in.texts("cgroup"),
		Trace:          in.text("trace"),
	})
}
