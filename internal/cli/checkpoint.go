package cli

import (
	"os"
	"strconv"
	"strings"

	"ostia/internal/container"
	"ostia/internal/program"

	"golang.org/x/sys/unix"
)

var checkpointCommand = command{
	name:     "checkpoint",
	synopsis: "[flags] CONTAINER",
	summary:  "write a running container into files",
	description: "checkpoint has CRIU (criu(8)) write the processes of a container with their memory into files, from which restore makes it again, " +
		"here or on another host. The container is deleted then, unless it is left running. It needs root and the program criu. What goes wrong " +
		"is in dump.log, in the work path. Without --network-lock and without iptables on this host, nftables locks the network meanwhile. " +
		"The annotation org.criu.config names a configuration file for CRIU, whose settings come over these flags; without it " +
		"the first that is there of ostia.conf, crun.conf and runc.conf in /etc/criu is read.",
	flags: []flag{
		imagePathFlag, workPathFlag,
		{name: "parent-path", kind: text, value: "DIR", help: "the images of an earlier pre-dump, relative to the image path: only what has changed since is written"},
		{name: "leave-running", kind: boolean, help: "let the container go on"},
		{name: "pre-dump", kind: boolean, help: "write memory only and let the container go on: a later checkpoint with --parent-path then stops it shortly"},
		tcpEstablishedFlag,
		{name: "tcp-skip-in-flight", kind: boolean, help: "leave out TCP connections that are being made"},
		extUnixSkFlag, shellJobFlag, fileLocksFlag,
		{name: "link-remap", kind: boolean, help: "keep files that are open and have no name any more by giving them one"},
		autoDedupFlag, manageCgroupsFlag, networkLockFlag, emptyNSFlag, lazyPagesFlag,
		{name: "page-server", kind: text, value: "ADDRESS:PORT", help: "send memory to a page server (criu page-server) instead of into files"},
		{name: "status-fd", kind: number, value: "N", help: "write a zero byte to descriptor N when the lazy pages can be fetched"},
	},
	min: 1, max: 1,
	runsProgram: true,
	run:         checkpoint,
}

// Flags that checkpoint and restore share.
var (
	imagePathFlag      = flag{name: "image-path", kind: text, value: "DIR", help: "the folder of the images (default: checkpoint in the working directory)"}
	workPathFlag       = flag{name: "work-path", kind: text, value: "DIR", help: "the folder of CRIU's logs (default: the image path)"}
	tcpEstablishedFlag = flag{name: "tcp-established", kind: boolean, help: "keep TCP connections"}
	extUnixSkFlag      = flag{name: "ext-unix-sk", kind: boolean, help: "allow unix sockets whose other end is outside of the container"}
	shellJobFlag       = flag{name: "shell-job", kind: boolean, help: "allow a terminal and a session of outside the container"}
	fileLocksFlag      = flag{name: "file-locks", kind: boolean, help: "keep file locks"}
	autoDedupFlag      = flag{name: "auto-dedup", kind: boolean, help: "keep each page of memory in one image only"}
	manageCgroupsFlag  = flag{name: "manage-cgroups-mode", kind: text, value: "MODE", help: "what CRIU does with cgroups below the container's: soft (default), full, strict or ignore"}
	networkLockFlag    = flag{name: "network-lock", kind: text, value: "METHOD", help: "what keeps the network still meanwhile: iptables, nftables or skip"}
	emptyNSFlag        = flag{name: "empty-ns", kind: texts, value: "NAMESPACE", help: "make this namespace anew, without its contents: network, which always is"}
	lazyPagesFlag      = flag{name: "lazy-pages", kind: boolean, help: "fetch memory when it is used (userfaultfd(2))"}
)

func checkpoint(in *invocation) (int, error) {
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
	o := container.CheckpointOptions{
		CriuOptions: shared, ParentPath: in.text("parent-path"), LeaveRunning: in.is("leave-running"), PreDump: in.is("pre-dump"),
		TCPSkipInFlight: in.is("tcp-skip-in-flight"), LinkRemap: in.is("link-remap"), StatusFD: -1,
	}
	if in.given("status-fd") {
		o.StatusFD = in.number("status-fd")
		if flags, err := unix.FcntlInt(uintptr(o.StatusFD), unix.F_GETFL, 0); err != nil || flags&unix.O_ACCMODE == unix.O_RDONLY {
			return 0, usageError("--status-fd " + in.text("status-fd") + ": is not open for writing")
		}
	}
	if server := in.text("page-server"); server != "" {
		if o.PageServer, o.PageServerPort, err = addressPort(server); err != nil {
			return 0, err
		}
	}
	p := newProgress(in)
	defer p.end()
	o.Progress = p.step
	return 0, r.Checkpoint(in.args[0], o)
}

// inPlace executes ostia-criu, which is this program with CRIU's protocol
// linked in, with the same command line.
func inPlace() error {
	path, err := program.Beside("ostia-criu")
	if err == nil {
		err = &failure{path, unix.Exec(path, os.Args, os.Environ())}
	}
	return err
}

// criuOptions are the options of the flags that checkpoint and restore share.
func criuOptions(in *invocation) (container.CriuOptions, error) {
	o := container.CriuOptions{
		ImagePath: in.text("image-path"), WorkPath: in.text("work-path"), CgroupMode: in.text("manage-cgroups-mode"),
		NetworkLock: in.text("network-lock"), TCPEstablished: in.is("tcp-established"), ExtUnixSk: in.is("ext-unix-sk"),
		ShellJob: in.is("shell-job"), FileLocks: in.is("file-locks"), AutoDedup: in.is("auto-dedup"), LazyPages: in.is("lazy-pages"),
	}
	if o.ImagePath == "" {
		o.ImagePath = "checkpoint"
	}
	switch o.CgroupMode {
	case "", "soft", "full", "strict", "ignore":
	default:
		return o, usageError("--manage-cgroups-mode " + o.CgroupMode + ": unknown: use soft, full, strict or ignore")
	}
	switch o.NetworkLock {
	case "", "iptables", "nftables", "skip":
	default:
		return o, usageError("--network-lock " + o.NetworkLock + ": unknown: use iptables, nftables or skip")
	}
	for _, ns := range in.texts("empty-ns") {
		if ns != "network" {
			return o, usageError("--empty-ns " + ns + ": not supported: network is the only one")
		}
	}
	return o, nil
}

// addressPort takes ADDRESS:PORT apart.
func addressPort(s string) (address string, port int, err error) {
	colon := strings.LastIndexByte(s, ':')
	if colon > 0 {
		address = strings.TrimSuffix(strings.TrimPrefix(s[:colon], "["), "]")
		if n, e := strconv.ParseUint(s[colon+1:], 10, 16); e == nil && n > 0 {
			return address, int(n), nil
		}
	}
	return "", 0, usageError("--page-server " + s + ": use ADDRESS:PORT")
}
