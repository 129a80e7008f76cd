package entrypoint

import "syscall"

// The exit statuses of a program that could not be run, as a shell gives them.
const (
	CannotRun = 126 // found, but it cannot be executed
	NotFound  = 127 // it, its interpreter or its ELF loader does not exist
)

// A Verdict is the outcome of a judgement. As an error it is one line of
// printable text, in the words by which podman, dockerd and the docker command
// tell exit status 126 from 127.
type Verdict struct {
	Status  int           // 0, CannotRun or NotFound
	Name    string        // args[0]
	Path    string        // the file that was judged; "" if the search found none
	Culprit string        // the path that Errno is about: Path, or an interpreter that it leads to
	Errno   syscall.Errno // what execve(2) would fail with; EISDIR for a directory
	Reason  string        // what is wrong and, where it is short, the way out; may be empty

	searched bool   // Name has no slash
	its      string // the interpreter that Culprit is, in a reason's words
}

// Err is v as an error, nil if the program can be run.
func (v *Verdict) Err() error {
	if v.Status == 0 {
		return nil
	}
	return v
}

// Error is the line for the user. A NotFound verdict never holds "permission
// denied", "operation not permitted" or "is a directory"; a CannotRun verdict
// never holds "not found", "no such file", "open executable" or "not a
// directory".
func (v *Verdict) Error() string {
	s := "exec: " + quoteUpTo(v.Name, maxArg0) + ": " + v.classic()
	if v.Reason != "" {
		s += ": " + v.Reason
	}
	return s
}

// classic are the words that the engines match.
func (v *Verdict) classic() string {
	switch {
	case v.Status == 0:
		return "can be executed"
	case v.Status == NotFound && v.searched && v.Path == "":
		return "executable file not found in $PATH"
	case v.Status == NotFound:
		return "no such file or directory"
	case v.Errno == syscall.EISDIR:
		return "is a directory: permission denied"
	}
	return "permission denied"
}

// Unwrap is the errno, for errors.Is with fs.ErrNotExist or fs.ErrPermission.
func (v *Verdict) Unwrap() error {
	if v.Errno == 0 {
		return nil
	}
	return v.Errno
}

// fail makes v a failing verdict: executing would fail with e, because of the
// file culprit.
func (v *Verdict) fail(e syscall.Errno, culprit, reason string) {
	v.Errno, v.Culprit, v.Reason = e, culprit, reason
	v.Status = status(e)
	if v.Reason == "" {
		v.Reason = known(e)
	}
}

func status(e syscall.Errno) int {
	if e == syscall.ENOENT {
		return NotFound
	}
	return CannotRun
}

// known is the reason that an errno of execve(2) gives by itself. EACCES and
// ENOENT are said by the classic words already.
func known(e syscall.Errno) string {
	switch e {
	case 0, syscall.ENOENT, syscall.EACCES, syscall.EISDIR:
		return ""
	case syscall.EPERM:
		return "refused by a security module or a seccomp filter, or its file capabilities (getcap) exceed those that the process may have"
	case syscall.ENOTDIR:
		return "a component of the path is a file, used as a directory"
	case syscall.ELOOP:
		return "too many symbolic links, or scripts that are each other's interpreter"
	case syscall.ENAMETOOLONG:
		return "the path or one of its components is too long (at most 4095 and 255 bytes)"
	case syscall.ENOEXEC:
		return "exec format error: neither a program for this machine nor a script with a #! line"
	case syscall.ETXTBSY:
		return "text file busy: some process has the file open for writing"
	case syscall.E2BIG:
		return "argument list too long: args and env together exceed the kernel's limit"
	case syscall.ELIBBAD:
		return "its ELF loader is not one for this machine"
	case syscall.EINVAL:
		return "its ELF headers are invalid"
	case syscall.EIO:
		return "the file could not be read (input/output error)"
	case syscall.ENOMEM:
		return "cannot allocate memory"
	case syscall.EAGAIN:
		return "the user's limit of processes is reached (RLIMIT_NPROC)"
	}
	return e.Error()
}

// FromErrno is the verdict on an execve(2) of path that failed. path is "" if
// the search for name found nothing.
func FromErrno(name, path string, e syscall.Errno) *Verdict {
	v := &Verdict{Name: name, Path: path, searched: path == ""}
	v.fail(e, path, "")
	return v
}

// Late is the line for the standard error of a container, and the exit status,
// when its execve(2) fails although all had seemed well: the file changed in
// between, or nobody could read it. It ends in a newline.
func Late(name string, e syscall.Errno) (line string, status int) {
	v := FromErrno(name, name, e)
	switch e {
	case syscall.ENOENT:
		v.Reason = "it or its interpreter went missing after create"
	case syscall.EACCES:
		v.Reason = "it may no longer be executed"
	}
	return "ostia: " + v.Error() + "\n", v.Status
}
