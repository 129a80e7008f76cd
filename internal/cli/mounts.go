package cli

var mountsCommand = command{
	name:     "mounts",
	synopsis: "add CONTAINER FILE\nremove CONTAINER FILE",
	summary:  "add mounts to a container that exists, or remove them",
	description: "mounts add makes the mounts of FILE, a list of mounts as in config.json, in a container that is created, running or paused; " +
		"when one fails, none is made. Bind mounts and file systems without a source (tmpfs, mqueue, sysfs, ...) can be added; what else there is " +
		"can be mounted on the host and bound. mounts remove detaches the mounts of FILE, the last first. FILE - is standard input.",
	min: 3, max: 3,
	run: changeMounts,
}

func changeMounts(in *invocation) (int, error) {
	r, err := newRuntime(in)
	if err != nil {
		return 0, err
	}
	change := r.AddMounts
	switch in.args[0] {
	case "add":
	case "remove":
		change = r.RemoveMounts
	default:
		return 0, usageError("mounts: " + in.args[0] + ": unknown: use add or remove")
	}
	mounts, err := readInput(in.args[2])
	if err != nil {
		return 0, &failure{"mounts", err}
	}
	return 0, change(in.args[1], mounts)
}
