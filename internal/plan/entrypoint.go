package plan

import (
	"strings"
	"unsafe"

	"ostia/internal/linux"
	"ostia/internal/spec"
	"ostia/internal/stage"

	"golang.org/x/sys/unix"
)

// Candidates are the paths at which execvp(3) would look for the process's
// program, in order: the name itself when it has a slash, else one path an
// element of the last PATH in env. An empty element is the working directory.
// No PATH, or an empty one, gives none.
func Candidates(p *spec.Process) []string {
	name := p.Args[0]
	if strings.IndexByte(name, '/') >= 0 {
		return []string{name}
	}
	path := ""
	for i := len(p.Env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(p.Env[i], "PATH="); ok {
			path = v
			break
		}
	}
	if path == "" || name == "" {
		return nil
	}
	paths := make([]string, 0, 8)
	for more := true; more; {
		var dir string
		dir, path, more = strings.Cut(path, ":")
		switch {
		case dir == "":
			paths = append(paths, "./"+name)
		case dir[len(dir)-1] == '/':
			paths = append(paths, dir+name)
		default:
			paths = append(paths, dir+"/"+name)
		}
	}
	return paths
}

func (c *compiler) candidates() {
	p := c.in.Process
	for _, path := range Candidates(p) {
		c.paths = append(c.paths, c.Str(path))
	}
	c.argv, c.env = c.Vec(p.Args), c.Vec(p.Env)
	c.program = c.Cell()
}

// check asks the kernel whether path may be executed by this process as it is
// now, stores 0 or the negated errno, and goes to no if it may not.
func (c *compiler) check(path stage.Arg, result stage.Cell, no stage.Label) {
	if c.in.Host.ExecveCheck {
		c.Do("may it be executed?", unix.SYS_EXECVEAT, stage.Imm(unix.AT_FDCWD), path, c.argv, c.env, stage.Imm(linux.AT_EXECVE_CHECK)).To(result).Else(no)
		return
	}
	// Before Linux 6.14: a regular file with the execute bit for our effective
	// ids, on a mount that allows it.
	fd, denied, ok := c.Cell(), c.NewLabel(), c.NewLabel()
	fs := c.Buffer(int(unsafe.Sizeof(unix.Statfs_t{})))
	c.Do("may it be executed?", unix.SYS_FACCESSAT2, stage.Imm(unix.AT_FDCWD), path, stage.Imm(unix.X_OK), stage.Imm(unix.AT_EACCESS)).To(result).Else(no)
	c.Do("open", unix.SYS_OPENAT, stage.Imm(unix.AT_FDCWD), path, stage.Imm(unix.O_PATH|unix.O_CLOEXEC)).To(fd).Else(no)
	c.Do("stat", unix.SYS_FSTAT, fd.Val(), c.stat()).Else(denied)
	c.If(c.statMode().Val(), unix.S_IFMT, unix.S_IFREG, denied)
	c.Do("statfs", unix.SYS_FSTATFS, fd.Val(), fs).Else(denied)
	c.If(stage.CellAt(fs, int(unsafe.Offsetof(unix.Statfs_t{}.Flags))).Val(), unix.ST_NOEXEC, 0, denied)
	c.Do("close", unix.SYS_CLOSE, fd.Val()).Else(ok)
	c.Goto(ok)
	c.Place(denied)
	c.Set(result, stage.Imm(-int(unix.EACCES)))
	c.Do("close", unix.SYS_CLOSE, fd.Val()).Else(no)
	c.Goto(no)
	c.Place(ok)
}

// readHead reads the first bytes of a file that may be executed. One that may
// not be read is reported with the head length Unreadable.
func (c *compiler) readHead(path stage.Arg) {
	fd, unreadable := c.Cell(), c.NewLabel()
	c.Set(c.reportWord(ReportHead), stage.Imm(Unreadable))
	c.Do("open to read", unix.SYS_OPENAT, stage.Imm(unix.AT_FDCWD), path, stage.Imm(unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY)).To(fd).Else(unreadable)
	c.Do("read", unix.SYS_READ, fd.Val(), c.report.head, stage.Imm(HeadSize)).To(c.report.headLen).Else(unreadable)
	c.Set(c.reportWord(ReportHead), c.report.headLen.Val())
	c.Do("close", unix.SYS_CLOSE, fd.Val())
	c.Place(unreadable)
}

// execute is the plan's end: the verdict and the execve.
func (c *compiler) execute() {
	c.About("process.args[0]", -1, c.in.Process.Args[0])
	notify := len(c.in.Seccomp.Program) > 0 && c.in.Seccomp.Notify
	if notify {
		// The listener must reach its agent before create returns.
		c.seccomp()
	}
	if c.in.Ask {
		c.judge()
	}
	if c.in.Wait {
		c.waitForStart()
	}
	c.startContainerHooks()
	c.About("process.args[0]", -1, c.in.Process.Args[0])
	c.Do("forget the parent", unix.SYS_PRCTL, stage.Imm(unix.PR_SET_PDEATHSIG), stage.Imm(0))
	c.WriteTrace(c.in.FDs.Trace)
	if !notify {
		c.seccomp()
	}
	switch {
	case c.in.Wait:
		late := c.NewLabel()
		c.Do("execute", unix.SYS_EXECVE, c.program.Val(), c.argv, c.env).Else(late)
		c.Place(late)
		c.tooLate()
	case c.in.Ask:
		c.Do("execute", unix.SYS_EXECVE, c.program.Val(), c.argv, c.env).To(c.result(0))
	default:
		c.executeFirst()
	}
}

// executeFirst tries the candidates as execvp(3) does. When all have failed,
// the last failure is reported with every candidate's result.
func (c *compiler) executeFirst() {
	for i, path := range c.paths {
		next := c.NewLabel()
		o := c.Do("execute", unix.SYS_EXECVE, path, c.argv, c.env).To(c.result(i))
		if i < len(c.paths)-1 {
			o.Else(next)
		}
		c.Place(next)
	}
	if len(c.paths) == 0 {
		c.notFound()
	}
}

func (c *compiler) notFound() {
	c.Require("execute", stage.Imm(0), -1, 1, unix.ENOENT)
}

// judge walks the candidates, reports the first that may be executed with its
// first bytes, and waits for the verdict.
func (c *compiler) judge() {
	found, goOn := c.NewLabel(), c.NewLabel()
	for i, path := range c.paths {
		next := c.NewLabel()
		c.check(path, c.result(i), next)
		c.Set(c.program, path)
		c.Goto(found)
		c.Place(next)
	}
	c.notFound()
	c.Place(found)
	c.readHead(c.program.Val())
	c.milestone(WantWord)
	end := c.NewLabel()
	c.answer(goOn, end)
	c.Place(end)
	c.exit(125)
	c.Place(goOn)
}

// waitForStart closes all but the exec fifo and reads it. The runtime opened
// it for reading and writing before the root changed, so it depends on no
// path and never sees an end of file.
func (c *compiler) waitForStart() {
	fds := &c.in.FDs
	c.Do("forget the parent", unix.SYS_PRCTL, stage.Imm(unix.PR_SET_PDEATHSIG), stage.Imm(0))
	c.Do("close the socket", unix.SYS_CLOSE, stage.Imm(fds.Sync))
	c.Do("wait for start", unix.SYS_READ, stage.Imm(fds.Start), c.report.head, stage.Imm(1))
}

// tooLate is the end of a container whose execve failed after start had
// reported success: one line on its stderr, and the status that a shell gives.
func (c *compiler) tooLate() {
	name := quote(c.in.Process.Args[0])
	denied, errno := c.NewLabel(), c.Cell()
	c.Set(errno, c.FailedErrno())
	c.If(errno.Val(), -1, int(unix.ENOENT), denied)
	say := func(text string, status int) {
		exit := c.NewLabel()
		c.Do("say why", unix.SYS_WRITE, stage.Imm(2), c.Str(text), stage.Imm(len(text))).Else(exit)
		c.Place(exit)
		c.exit(status)
	}
	say("ostia: exec: "+name+": no such file or directory: it or its interpreter went missing after create\n", 127)
	c.Place(denied)
	noexec := c.NewLabel()
	c.If(errno.Val(), -1, int(unix.ENOEXEC), noexec)
	say("ostia: exec: "+name+": permission denied: not an executable format (exec format error)\n", 126)
	c.Place(noexec)
	say("ostia: exec: "+name+": permission denied: the kernel refused to execute it after start\n", 126)
}

// quote puts s in double quotes on one line.
func quote(s string) string {
	const hex = "0123456789abcdef"
	b := make([]byte, 0, len(s)+2)
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch ch := s[i]; {
		case ch == '"' || ch == '\\':
			b = append(b, '\\', ch)
		case ch < 0x20 || ch == 0x7f:
			b = append(b, '\\', 'x', hex[ch>>4], hex[ch&15])
		default:
			b = append(b, ch)
		}
	}
	return string(append(b, '"'))
}
