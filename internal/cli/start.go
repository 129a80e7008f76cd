package cli

import "golang.org/x/sys/unix"

var startCommand = command{
	name:     "start",
	synopsis: "CONTAINER",
	summary:  "let a created container execute its entry point",
	description: "start lets the program of a created container run, and returns at once. With a service manager's $NOTIFY_SOCKET, at create " +
		"too, it returns when the container has said that it is ready.",
	min: 1, max: 1,
	run: start,
}

func start(in *invocation) (int, error) {
	r, err := newRuntime(in)
	if err != nil {
		return 0, err
	}
	notify, _ := unix.Getenv("NOTIFY_SOCKET")
	return 0, r.Start(in.args[0], notify)
}
