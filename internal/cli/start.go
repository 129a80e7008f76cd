package cli

var startCommand = command{
	name:        "start",
	synopsis:    "CONTAINER",
	summary:     "let a created container execute its entry point",
	description: "start lets the program of a created container run, and returns at once.",
	min:         1, max: 1,
	run: start,
}

func start(in *invocation) (int, error) {
	r, err := newRuntime(in)
	if err != nil {
		return 0, err
	}
	return 0, r.Start(in.args[0])
}
