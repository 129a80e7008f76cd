package container

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// none leaves a descriptor of the stage closed.
const none = ^uintptr(0)

// files are the stage's descriptors in order, and what the runtime must close
// once it is forked.
type files struct {
	list []uintptr
	ours []int
}

// newFiles starts with stdio and the descriptors that the entry point is to
// inherit from the caller: LISTEN_FDS, of which any may be closed, as with
// crun, and --preserve-fds behind them.
func newFiles(listen, preserve int) (*files, error) {
	f := &files{list: make([]uintptr, 0, 16)}
	for fd := range 3 + listen + preserve {
		if fd >= 3 {
			if open := inherited(fd); !open && fd < 3+listen {
				f.list = append(f.list, none)
				continue
			} else if !open {
				return nil, &Error{Op: "--preserve-fds", Subject: strconv.Itoa(preserve), Err: errDescriptorClosed(fd)}
			}
		}
		f.list = append(f.list, uintptr(fd))
	}
	return f, nil
}

// inherited reports whether fd came from the caller. A number that the caller
// left closed may be one of this process's own by now, like that of the state
// folder, which the container must not get; all of those close on exec, and what
// came through an exec does not.
func inherited(fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil && flags&unix.FD_CLOEXEC == 0
}

// add gives the stage fd and returns its number there. The runtime's copy is
// closed by close.
func (f *files) add(fd int) int {
	f.list = append(f.list, uintptr(fd))
	f.ours = append(f.ours, fd)
	return len(f.list) - 1
}

// reserve is add for a descriptor that fill gives later.
func (f *files) reserve() int {
	f.list = append(f.list, none)
	return len(f.list) - 1
}

// fill gives the stage fd as its descriptor n.
func (f *files) fill(n, fd int) {
	f.list[n] = uintptr(fd)
	f.ours = append(f.ours, fd)
}

// lend is add for a descriptor that the runtime keeps.
func (f *files) lend(fd int) int {
	f.list = append(f.list, uintptr(fd))
	return len(f.list) - 1
}

// close closes the runtime's copies.
func (f *files) close() {
	for _, fd := range f.ours {
		unix.Close(fd)
	}
	f.ours = nil
}
