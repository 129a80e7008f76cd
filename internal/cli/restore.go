package cli

import "ostia/internal/container"

var restoreCommand = command{
	name:     "restore",
	synopsis: "[flags] CONTAINER",
	summary:  "make a container of a checkpoint's files",
	description: "restore makes a container of its bundle and of the images that checkpoint wrote, under its old id or another. Its processes go on " +
		"where they were. Then it is like run: restore waits for the container, passes signals on, and ends with its exit status. The first three " +
		"descriptors are those of restore if they were pipes or files of the host. Of the hooks, prestart and createRuntime run. The root of " +
		"a container in a user namespace opens its images: its group may read them then. What goes wrong is in restore.log, in the work path.",
	flags: []flag{
		bundleFlag, imagePathFlag, workPathFlag, consoleSocketFlag, pidfdSocketFlag, pidFileFlag,
		{name: "detach", short: 'd', kind: boolean, help: "return when the container is restored"},
		{name: "no-subreaper", kind: boolean, help: "do not become the parent of the container's orphans"},
		{name: "no-pivot", kind: boolean, help: "does nothing, as in runc: CRIU enters the root"},
		tcpEstablishedFlag,
		{name: "tcp-close", kind: boolean, help: "restore TCP connections as closed ones"},
		extUnixSkFlag, shellJobFlag, fileLocksFlag, autoDedupFlag, manageCgroupsFlag, networkLockFlag, emptyNSFlag, lazyPagesFlag,
		{name: "lsm-profile", kind: text, value: "TYPE:NAME", help: "another AppArmor profile or SELinux label: apparmor:NAME or selinux:LABEL"},
		{name: "lsm-mount-context", kind: text, value: "CONTEXT", help: "another SELinux context for mounts"},
	},
	min: 1, max: 1,
	runsProgram: true,
	run:         restore,
}

func restore(in *invocation) (int, error) {
	if in.criu == nil {
		return 0, inPlace()
	}
	r, err := newRuntime(in)
	if err != nil {
		return 0, err
	}
	shared, err := criuOptions(in)
	if err != nil {
		return 0, err
	}
	p := newProgress(in)
	defer p.end()
	shared.Progress = p.step
	return r.Restore(container.RestoreOptions{
		CreateOptions: container.CreateOptions{
			ID: in.args[0], Bundle: in.text("bundle"), ConsoleSocket: in.text("console-socket"), PidFile: in.text("pid-file"),
			PidfdSocket: in.text("pidfd-socket"), NoSubreaper: in.is("no-subreaper"), Detach: in.is("detach"),
		},
		CriuOptions: shared, TCPClose: in.is("tcp-close"), LSMProfile: in.text("lsm-profile"), LSMContext: in.text("lsm-mount-context"),
	})
}
