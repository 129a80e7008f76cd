package vm

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A terminal's program sees its size, and a change of it; keys have their
// meaning in the guest.
func TestTerminal(t *testing.T) {
	dir := bundle(t, sized, func(c object) { process(c)["terminal"] = true })
	id := name(t)
	s := onTerminal(t, "run", "--bundle", dir, id)
	s.resizeAndInterrupt(t)
	nothingLeft(t, id)
}

// So does that of an exec, as whom and where it is to run.
func TestExecTerminal(t *testing.T) {
	full(t)
	dir := bundle(t, "echo up; sleep 1000", nil)
	id := name(t)
	start(t, id, dir, "up\n")
	s := onTerminal(t, "exec", "--tty", "--user", "1000:1000", "--cwd", "/tmp", "--env", "A=b", id, "sh", "-c", `id -u; pwd; echo $A; `+sized)
	s.until(t, "1000\r\n/tmp\r\nb\r\n")
	s.resizeAndInterrupt(t)
}

// sized is a program that tells its terminal's size, and ends with 4 on ^C.
const sized = `[ -t 0 ] && stty size; trap 'stty size' WINCH; trap 'echo interrupted; exit 4' INT; echo up; while :; do sleep 1; done`

// screen is a command of the runtime on a terminal.
type screen struct {
	command *exec.Cmd
	master  *os.File
	shown   chan string
	seen    string
}

func onTerminal(t *testing.T, args ...string) *screen {
	t.Helper()
	master, slave := openTerminal(t)
	setSize(t, master, 40, 100)
	c := exec.Command(runtime, append([]string{"--root", state, "--handler", "vm"}, args...)...)
	c.Stdin, c.Stdout, c.Stderr = slave, slave, slave
	c.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	check(t, c.Start())
	slave.Close()
	s := &screen{command: c, master: master, shown: make(chan string)}
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			if err != nil {
				close(s.shown)
				return
			}
			s.shown <- string(b[:n])
		}
	}()
	return s
}

// until waits until the terminal has shown something.
func (s *screen) until(t *testing.T, word string) {
	t.Helper()
	for !strings.Contains(s.seen, word) {
		select {
		case text, ok := <-s.shown:
			if !ok {
				t.Fatalf("the terminal ended with %q, want %q", s.seen, word)
			}
			s.seen += text
		case <-time.After(patience):
			_ = s.command.Process.Kill()
			t.Fatalf("the terminal shows %q, want %q", s.seen, word)
		}
	}
}

// resizeAndInterrupt sees sized to its end.
func (s *screen) resizeAndInterrupt(t *testing.T) {
	t.Helper()
	s.until(t, "40 100\r\nup\r\n")
	setSize(t, s.master, 50, 132)
	s.until(t, "50 132")
	_, err := s.master.Write([]byte{3}) // ^C
	check(t, err)
	s.until(t, "interrupted")
	for range s.shown {
	}
	if _ = s.command.Wait(); s.command.ProcessState.ExitCode() != 4 {
		t.Errorf("exit status %d, screen %q", s.command.ProcessState.ExitCode(), s.seen)
	}
}

func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	check(t, err)
	t.Cleanup(func() { master.Close() })
	unlock, number := 0, 0
	check(t, ioctl(master, unix.TIOCSPTLCK, unsafe.Pointer(&unlock)))
	check(t, ioctl(master, unix.TIOCGPTN, unsafe.Pointer(&number)))
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	check(t, err)
	return master, slave
}

func setSize(t *testing.T, f *os.File, rows, columns uint16) {
	t.Helper()
	check(t, ioctl(f, unix.TIOCSWINSZ, unsafe.Pointer(&unix.Winsize{Row: rows, Col: columns})))
}

func ioctl(f *os.File, request uint, arg unsafe.Pointer) error {
	_, _, e := unix.Syscall(unix.SYS_IOCTL, f.Fd(), uintptr(request), uintptr(arg))
	if e != 0 {
		return e
	}
	return nil
}
