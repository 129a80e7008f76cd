package cli

var deleteCommand = command{
	name:     "delete",
	synopsis: "[flags] CONTAINER",
	summary:  "delete a container",
	description: "delete removes what a stopped or merely created container left: its cgroup and its state. With --force it first kills a running " +
		"one, and also removes what an interrupted command left behind.",
	flags: []flag{
		{name: "force", short: 'f', kind: boolean, help: "kill the container first if it runs"},
		regexFlag,
	},
	min: 1, max: 1,
	run: remove,
}

func remove(in *invocation) (int, error) {
	r, err := newRuntime(in)
	if err != nil {
		return 0, err
	}
	if !in.is("regex") {
		return 0, r.Delete(in.args[0], in.is("force"))
	}
	return 0, eachMatching(r, in.args[0], func(id string) error {
		return r.Delete(id, in.is("force"))
	})
}
