package container

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Error is an operation that failed: what was done, to what, and why.
type Error struct {
	Op      string
	Subject string // path, id or option; may be empty
	Err     error
}

func (e *Error) Error() string {
	s := e.Op
	if e.Subject != "" {
		s += " " + e.Subject
	}
	return s + ": " + e.Err.Error()
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// failed is an Error, or nil for a nil reason.
func failed(op, subject string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Op: op, Subject: subject, Err: err}
}

// advised is a reason with the way out of it.
type advised struct {
	err    error
	advice string
}

func (e *advised) Error() string { return e.err.Error() + ": " + e.advice }
func (e *advised) Unwrap() error { return e.err }

// stateFailed is failed for what is written below the state root: path, or an id.
func stateFailed(op, path string, err error) error {
	switch {
	case err == unix.EACCES && os.Geteuid() != 0:
		err = &advised{err, "name a folder of yours with --root, or set XDG_RUNTIME_DIR"}
	case err == unix.EROFS:
		err = &advised{err, "mount it writable, or name another folder with --root"}
	case err == unix.ENOSPC, err == unix.EDQUOT:
		err = &advised{err, "make room there, or name another folder with --root"}
	}
	return failed(op, path, err)
}

// Join is the error of an operation on several containers, each on the same
// line, which errors.Join would break; nil for none.
func Join(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return severalErrors(errs)
}

type severalErrors []error

func (e severalErrors) Error() string {
	s := e[0].Error()
	for _, err := range e[1:] {
		s += "; " + err.Error()
	}
	return s
}

func (e severalErrors) Unwrap() []error { return e }

// The errors that callers tell apart. containerd and dockerd match the texts
// "container not running" and "does not exist".
var (
	ErrNotRunning = errors.New("container not running")
	ErrNotCreated = errors.New("cannot start a container that is not in the created state")
	ErrNotStopped = errors.New("cannot delete a container that is not stopped: kill it first, or use --force")
	ErrInvalidID  = errors.New("invalid character in container ID, or none: use letters, digits and _ + - . and do not begin with a dot")
	ErrNotPaused  = errors.New("container not paused")
	ErrPaused     = errors.New("cannot exec in a paused container: resume it first, or use --ignore-paused")
)

// errDescriptorClosed names a descriptor that --preserve-fds promises and that
// is not open.
func errDescriptorClosed(fd int) error {
	return errors.New("file descriptor " + strconv.Itoa(fd) + " is not open")
}

var (
	errKilledEarly     = errors.New("the container's first process was killed before it executed the entry point: out of memory? (linux.resources.memory.limit)")
	errNoTerminal      = errors.New("process.terminal is false: leave the option out, or ask for a terminal")
	errNoConsoleSocket = errors.New("a detached process with a terminal needs --console-socket")
	errUser            = errors.New("use UID or UID:GID, as numbers")
	errNoMapping       = errors.New("there is none: give the mount uidMappings and gidMappings, or the container a user namespace")
	errIDMap           = errors.New("this file system, or this kernel, has no idmapped mounts, or it is idmapped already")
)
