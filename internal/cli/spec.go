package cli

import (
	"errors"
	"os"

	"ostia/internal/cgroup"
	"ostia/internal/file"
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

var specCommand = command{
	name:     "spec",
	synopsis: "[flags]",
	summary:  "write a configuration to begin with",
	description: "spec writes a config.json that runs a shell in the folder rootfs. It never overwrites one. With --rootless it is one that an " +
		"ordinary user can run.",
	flags: []flag{
		{name: "bundle", short: 'b', kind: text, value: "DIR", help: "where to write it (default: the working directory)"},
		{name: "file", short: 'f', kind: text, value: "FILE", help: "its name, in that folder unless it is an absolute path (default: config.json)"},
		{name: "rootless", kind: boolean, help: "for the user who calls it"},
	},
	run: writeSpec,
}

func writeSpec(in *invocation) (int, error) {
	path := "config.json"
	if name := in.text("file"); name != "" {
		path = name
	}
	if dir := in.text("bundle"); dir != "" && path[0] != '/' {
		path = dir + "/" + path
	}
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o666)
	if err == unix.EEXIST {
		err = errors.New("exists already: remove it first")
	}
	if err != nil {
		return 0, &failure{path, err}
	}
	defer unix.Close(fd)
	text := spec.Default(in.is("rootless"), cgroup.Unified(), uint32(os.Geteuid()), uint32(os.Getegid()))
	if err := file.WriteAll(fd, text); err != nil {
		return 0, &failure{path, err}
	}
	return 0, nil
}
