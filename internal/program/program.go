// Package program runs programs of the host and waits for them: hooks,
// newuidmap(1), ps(1), passt(1). What runs in a container is started by launch.
package program

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"ostia/internal/file"

	"golang.org/x/sys/unix"
)

// The errors of this package.
var (
	ErrNotFound = errors.New("not found in $PATH")
	ErrTimeout  = errors.New("timed out")
)

// Program is a program to run.
type Program struct {
	Path    string // absolute
	Args    []string
	Env     []string // nil is none
	Dir     string   // "" is the working directory
	Stdin   string
	Output  [2]string // files that standard output and error are appended to; "" keeps what is written for Run's result
	Files   []int     // its descriptors from 3 on
	Timeout *int      // in seconds; nil waits as long as it takes
}

// Run runs the program to its end and returns what it wrote to standard output
// and standard error and its wait status. It has files for all three, so that
// neither side waits for the other. One that takes too long is killed:
// ErrTimeout.
func (p *Program) Run() (output string, status unix.WaitStatus, err error) {
	in, err := memoryFile("stdin")
	if err != nil {
		return "", 0, err
	}
	defer unix.Close(in)
	if err := file.WriteAll(in, p.Stdin); err != nil {
		return "", 0, err
	}
	if _, err := unix.Seek(in, 0, unix.SEEK_SET); err != nil {
		return "", 0, err
	}
	out, err := memoryFile("output")
	if err != nil {
		return "", 0, err
	}
	defer unix.Close(out)
	to, err := OpenOutput(p.Output, out)
	if err != nil {
		return "", 0, err
	}
	defer closeOutput(to, out)
	env := p.Env
	if env == nil {
		env = []string{} // syscall would pass on this process's
	}
	files := []uintptr{uintptr(in), uintptr(to[0]), uintptr(to[1])}
	for _, fd := range p.Files {
		files = append(files, uintptr(fd))
	}
	pidfd := -1
	pid, err := syscall.ForkExec(p.Path, p.Args, &syscall.ProcAttr{Dir: p.Dir, Env: env, Files: files, Sys: &syscall.SysProcAttr{PidFD: &pidfd}})
	if err != nil {
		return "", 0, err
	}
	defer unix.Close(pidfd)
	late := p.Timeout != nil && !EndsWithin(pidfd, time.Duration(*p.Timeout)*time.Second)
	if late {
		_ = unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0)
	}
	for {
		if _, err = unix.Wait4(pid, &status, 0, nil); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return "", 0, err
	}
	if late {
		err = ErrTimeout
	}
	if _, e := unix.Seek(out, 0, unix.SEEK_SET); e != nil {
		return "", status, e
	}
	output, e := file.ReadAll(out)
	if err == nil {
		err = e
	}
	return output, status, err
}

// OpenOutput opens the files that standard output and error are appended to;
// what has no path goes to output.
func OpenOutput(paths [2]string, output int) (to [2]int, err error) {
	to = [2]int{output, output}
	for i, path := range paths {
		if path == "" {
			continue
		}
		fd, err := unix.Open(path, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_NOCTTY|unix.O_CLOEXEC, 0o600)
		if err != nil {
			closeOutput(to, output)
			return to, &os.PathError{Op: "open", Path: path, Err: err}
		}
		to[i] = fd
	}
	return to, nil
}

func closeOutput(to [2]int, output int) {
	for _, fd := range to {
		if fd != output {
			unix.Close(fd)
		}
	}
}

func memoryFile(name string) (int, error) { return unix.MemfdCreate(name, unix.MFD_CLOEXEC) }

// EndsWithin waits for the process of a pidfd to end, and reports whether it
// did in time.
func EndsWithin(pidfd int, limit time.Duration) bool {
	end := time.Now().Add(limit)
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, int(max(time.Until(end), 0).Milliseconds()))
		if err != unix.EINTR {
			return n > 0
		}
	}
}

// Find returns the path of a program on PATH, or in the folders that every
// host has: engines may start a runtime without a PATH. Relative elements are
// passed over, because the working directory is a bundle.
func Find(name string) (string, error) {
	for dir := range strings.SplitSeq(os.Getenv("PATH")+":/usr/bin:/bin:/usr/sbin:/sbin", ":") {
		if dir == "" || dir[0] != '/' {
			continue
		}
		path := dir + "/" + name
		var st unix.Stat_t
		if unix.Stat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && unix.Access(path, unix.X_OK) == nil {
			return path, nil
		}
	}
	return "", ErrNotFound
}

// Beside is the path of a program next to this one: what is installed with it,
// never one of $PATH.
func Beside(name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlink("/proc/self/exe", buf)
	if err != nil {
		return "", &os.PathError{Op: "readlink", Path: "/proc/self/exe", Err: err}
	}
	self := strings.TrimSuffix(string(buf[:n]), " (deleted)")
	return self[:strings.LastIndexByte(self, '/')+1] + name, nil
}

// Ended says how a program ended, and what it said if that is anything.
func Ended(status unix.WaitStatus, output string) string {
	text := "exit status " + strconv.Itoa(status.ExitStatus())
	if status.Signaled() {
		text = "signal " + strconv.Itoa(int(status.Signal())) + " (" + status.Signal().String() + ")"
	}
	if said := OneLine(output); said != "" {
		text += ": " + said
	}
	return text
}

// OneLine is text of somebody else's as a part of one line: its end, at most
// 300 bytes, without what a terminal would obey: control characters, and those
// that break a line or change its direction.
func OneLine(s string) string {
	s = strings.TrimRight(s, "\n")
	if len(s) > 300 {
		s = "..." + s[len(s)-297:]
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r < 0x20, r >= 0x7f && r <= 0x9f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == utf8.RuneError:
			return ' '
		}
		return r
	}, s)
}
