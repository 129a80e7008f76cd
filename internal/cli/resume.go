package cli

var resumeCommand = command{
	name:        "resume",
	synopsis:    "CONTAINER",
	summary:     "thaw a paused container",
	description: "resume lets the processes of a paused container run on.",
	min:         1, max: 1,
	run: resume,
}

func resume(in *invocation) (int, error) {
	r, err := newRuntime(in)
	if err != nil {
		return 0, err
	}
	return 0, r.Resume(in.args[0])
}
