package cli

var runCommand = command{
	name:     "run",
	synopsis: "[flags] CONTAINER",
	summary:  "create and start a container and wait for it",
	description: "run creates a container, starts it, passes signals on to it and ends with the program's exit status, or with 128 " +
		"and the signal's number. It then deletes the container. 127 says that the entry point was not found, 126 that it cannot be " +
		"invoked, 125 that the runtime failed.",
	flags: []flag{
		bundleFlag, configFlag, consoleSocketFlag, pidfdSocketFlag, pidFileFlag,
		{name: "detach", short: 'd', kind: boolean, help: "return when the program has started"},
		{name: "keep", kind: boolean, help: "do not delete the container when its program has ended"},
		{name: "no-subreaper", kind: boolean, help: "do not become the parent of the container's orphans"},
		noPivotFlag, noNewKeyringFlag, preserveFDsFlag, traceFlag,
	},
	min: 1, max: 1,
	runsProgram: true,
	run:         run,
}

func run(in *invocation) (int, error) {
	r, err := newRuntime(in)
	if err != nil {
		return 0, err
	}
	o, err := createOptions(in)
	if err != nil {
		return 0, err
	}
	return r.Run(o)
}
