package container

import (
	"strconv"
	"syscall"

	"ostia/entrypoint"
	"ostia/internal/launch"
	"ostia/internal/plan"
	"ostia/internal/program"
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// judge turns a stage's reports into the verdict on an entry point, or into
// the error that a failed op is. It is the entrypoint.Prober that asks the
// stage, which is the process that will run, in its final identity.
type judge struct {
	stage   *launch.Stage
	plan    *plan.Plan
	process *spec.Process
	spec    *spec.Spec
	results []int32 // of the candidates, by the walk that the stage made
	// executed says that the walk was by execve(2), whose errno may be that of
	// an interpreter, a loader or the format.
	executed bool
	found    string // the candidate whose head is known
	head     []byte
	size     int64
	gone     bool // the stage was killed before it had answered
}

// Probe asks the stage, unless its walk along PATH has answered already.
func (j *judge) Probe(path string) entrypoint.Probe {
	if path == j.found {
		return entrypoint.Probe{Head: j.head, Size: j.size}
	}
	refused := j.refused(path)
	if refused != 0 && !j.executed {
		return entrypoint.Probe{Errno: refused}
	}
	p := j.ask(path)
	switch p.Errno {
	case syscall.EIO, syscall.EPERM, syscall.ENOSYS: // a seccomp filter may forbid the question
		if refused != 0 {
			return entrypoint.Probe{Errno: refused}
		}
	}
	return p
}

// refused is the errno that the stage's walk got for a path, 0 for none.
func (j *judge) refused(path string) syscall.Errno {
	for i, result := range j.results {
		if result < 0 && j.plan.Candidates[i] == path {
			return syscall.Errno(-result)
		}
	}
	return 0
}

func (j *judge) ask(path string) entrypoint.Probe {
	var r launch.Report
	err := j.stage.Ask(path)
	if err == nil {
		r, err = j.stage.Next()
	}
	j.gone = j.gone || err == launch.ErrClosed
	if err != nil || r.Milestone != plan.Probed {
		return entrypoint.Probe{Errno: syscall.EIO}
	}
	if r.Value < 0 {
		return entrypoint.Probe{Errno: syscall.Errno(-r.Value)}
	}
	return entrypoint.Probe{Head: head(&r), Size: r.Size}
}

// head is a report's file head; nil if the file may not be read.
func head(r *launch.Report) []byte {
	if r.HeadLen == plan.Unreadable {
		return nil
	}
	b := make([]byte, len(r.Head)) // not nil, even for an empty file
	copy(b, r.Head)
	return b
}

// candidate is the path that the stage's walk has chosen, "" for none.
func (j *judge) candidate() string {
	for i, name := range j.plan.Candidates {
		if j.results[i] == plan.Tried {
			return name
		}
	}
	return ""
}

// approve judges the entry point that the stage has found.
func (j *judge) approve(r *launch.Report) error {
	j.results = r.Results
	j.found, j.head, j.size = j.candidate(), head(r), r.Size
	return j.verdict()
}

// verdict judges the candidate of the stage's walk, or why it chose none.
func (j *judge) verdict() error {
	v := entrypoint.Judge(j, entrypoint.ThisHost(), j.process.Args, j.process.Env)
	switch {
	case j.gone:
		return errKilledEarly
	case v.Status == 0:
		return nil
	}
	return j.explain(v)
}

// explain adds the reason that the container's tree shows, while the stage
// still holds it open.
func (j *judge) explain(v *entrypoint.Verdict) error {
	j.inTree(func(t *entrypoint.Tree) { v.Explain(t) })
	return v
}

// inTree opens the container's tree, as the stage sees it.
func (j *judge) inTree(look func(*entrypoint.Tree)) {
	root, err := unix.Open("/proc/"+strconv.Itoa(j.stage.Pid)+"/root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(root)
	p := j.process
	rules := ""
	if len(j.spec.Extensions.Landlock) > 0 {
		rules = "the annotations org.ostia.landlock.*"
	}
	look(&entrypoint.Tree{
		Root: root, Cwd: p.Cwd, Env: p.Env, Args: p.Args,
		Credentials: entrypoint.Credentials{
			UID: p.User.UID, GID: p.User.GID, Groups: p.User.AdditionalGids,
			Capabilities: j.capabilities().Effective, NoNewPrivs: p.NoNewPrivileges,
		},
		UIDs: idMaps(j.spec.Linux.UIDMappings), GIDs: idMaps(j.spec.Linux.GIDMappings),
		Rules: rules, Mount: j.mountPointer,
	})
}

func (j *judge) capabilities() *spec.Capabilities {
	if j.process.Capabilities == nil {
		return &spec.Capabilities{}
	}
	return j.process.Capabilities
}

// ReadRange reads what lies beyond a file's head.
func (j *judge) ReadRange(path string, offset int64, length int) (b []byte) {
	j.inTree(func(t *entrypoint.Tree) { b = t.ReadRange(path, offset, length) })
	return b
}

// FileCapabilities are those of a file, and what the process may have of them.
func (j *judge) FileCapabilities(path string) (attribute []byte, bounding, inheritable uint64) {
	j.inTree(func(t *entrypoint.Tree) { attribute = t.CapabilityAttribute(path) })
	caps := j.capabilities()
	return attribute, caps.Bounding, caps.Inheritable
}

func idMaps(ms []spec.IDMapping) []entrypoint.IDMap {
	var list []entrypoint.IDMap
	for _, m := range ms {
		list = append(list, entrypoint.IDMap{Inside: m.ContainerID, Outside: m.HostID, Size: m.Size})
	}
	return list
}

// mountPointer is the config pointer of the mount at a path.
func (j *judge) mountPointer(path string) string {
	for i := len(j.spec.Mounts) - 1; i >= 0; i-- {
		if plan.SamePath(j.spec.Mounts[i].Destination, path) {
			return "mounts[" + strconv.Itoa(i) + "]"
		}
	}
	return ""
}

// failure is the error for a report of a failed op.
func (j *judge) failure(r *launch.Report) error {
	j.results = r.Results
	note, ok := j.plan.Failed(r.Op)
	if ok && note.Pointer == "process.args[0]" && note.Verb == "execute" {
		return j.notExecuted(r.Errno)
	}
	if note.Pointer == "process.cwd" && r.Errno == unix.ENOENT {
		v := entrypoint.FromErrno(j.process.Args[0], j.process.Args[0], r.Errno)
		v.Reason = "the working directory " + strconv.Quote(j.process.Cwd) + " does not exist (chdir)"
		return v
	}
	said := message(r.Head)
	if l := j.spec.Linux.Resources; note.Pointer == "process.scheduler" && r.Errno == unix.EPERM && l != nil && l.CPU != nil && l.CPU.Cpus != "" {
		said = "process scheduler can't be used together with AllowedCPUs: a deadline is one of all CPUs: leave linux.resources.cpu.cpus out"
	}
	return &stageError{note: note.String(), errno: r.Errno, message: said}
}

// notExecuted is the verdict when nothing could be executed, or the final
// execve failed: the kernel's errno stands even where no reason is seen.
func (j *judge) notExecuted(e unix.Errno) error {
	path := j.candidate()
	j.executed = true
	if err := j.verdict(); err != nil {
		return err
	}
	for i, result := range j.results {
		if result == -int32(e) {
			path = j.plan.Candidates[i]
		}
	}
	return j.explain(entrypoint.FromErrno(j.process.Args[0], path, e))
}

// stageError is an op that failed: what it was for, in the plan's words, and
// the kernel's answer.
type stageError struct {
	note    string
	errno   unix.Errno
	message string // of the file system, if it had one
}

func (e *stageError) Error() string {
	s := e.note + ": " + e.errno.Error()
	if e.message != "" {
		s += " (" + e.message + ")"
	}
	return s
}

// Unwrap is the errno.
func (e *stageError) Unwrap() error { return e.errno }

// message is a line of a file system context's log: "e tmpfs: Unknown
// parameter 'x'".
func message(b []byte) string {
	if len(b) < 3 || b[1] != ' ' {
		return ""
	}
	return program.OneLine(string(b[2:]))
}
