package cli

var pauseCommand = command{
	name:        "pause",
	synopsis:    "CONTAINER",
	summary:     "freeze every process of a container",
	description: "pause freezes the container's processes with the cgroup freezer. resume thaws them.",
	min:         1, max: 1,
	run: pause,
}

func pause(in *invocation) (int, error) {
	r, err := newRuntime(in)
	if err != nil {
		return 0, err
	}
	return 0, r.Pause(in.args[0])
}
