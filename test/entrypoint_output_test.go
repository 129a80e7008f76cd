package test

import (
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long an entry point of the table may run.
const patience = time.Minute

// output is where an entry point's output goes.
type output struct {
	in, writer *os.File // of the command
	reader     *os.File // what it wrote
}

// started closes our copies of the command's ends.
func (o *output) started() {
	o.writer.Close()
	if o.in != nil {
		o.in.Close()
	}
}

// text is all output, until nobody can write any more.
func (o *output) text(t *testing.T) string {
	t.Helper()
	defer o.reader.Close()
	// The regular end is EOF for a pipe and EIO for a terminal.
	b, err := io.ReadAll(o.reader)
	if os.IsTimeout(err) {
		t.Errorf("its output does not end")
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}

// pipe is an output that is a pipe, without an input.
func pipe(t *testing.T) *output {
	t.Helper()
	r, w, err := os.Pipe()
	check(t, err)
	t.Cleanup(func() { r.Close(); w.Close() })
	check(t, r.SetReadDeadline(time.Now().Add(patience)))
	return &output{writer: w, reader: r}
}

// pty is an input and output that is a terminal.
func pty(t *testing.T) *output {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	check(t, err)
	master := os.NewFile(uintptr(fd), "/dev/ptmx")
	t.Cleanup(func() { master.Close() })
	check(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	check(t, err)
	check(t, master.SetReadDeadline(time.Now().Add(patience)))
	var ends [2]*os.File
	for i := range ends {
		ends[i], err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
		check(t, err)
		t.Cleanup(func() { ends[i].Close() })
	}
	return &output{in: ends[0], writer: ends[1], reader: master}
}

// accept takes the terminal that a create has sent to its console socket.
func accept(t *testing.T, listener *net.UnixListener) *os.File {
	t.Helper()
	check(t, listener.SetDeadline(time.Now().Add(patience)))
	conn, err := listener.AcceptUnix()
	check(t, err)
	defer conn.Close()
	control := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := conn.ReadMsgUnix(make([]byte, 4096), control)
	check(t, err)
	messages, err := syscall.ParseSocketControlMessage(control[:n])
	check(t, err)
	if len(messages) != 1 {
		t.Fatalf("%d messages with the terminal", len(messages))
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	check(t, err)
	if len(fds) != 1 {
		t.Fatalf("%d descriptors, want the terminal's", len(fds))
	}
	check(t, unix.SetNonblock(fds[0], true))
	syscall.CloseOnExec(fds[0])
	f := os.NewFile(uintptr(fds[0]), "terminal")
	t.Cleanup(func() { f.Close() })
	check(t, f.SetReadDeadline(time.Now().Add(patience)))
	return f
}
