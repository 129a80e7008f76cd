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
	dir := bundle(t, `[ -t 0 ] && stty size; trap 'stty size' WINCH; trap 'echo interrupted; exit 4' INT; echo up; while :; do sleep 1; done`,
		func(c object) { process(c)["terminal"] = true })
	id := name(t)
	master, slave := openTerminal(t)
	setSize(t, master, 40, 100)
	c := exec.Command(runtime, "--root", state, "--handler", "vm", "run", "--bundle", dir, id)
	c.Stdin, c.Stdout, c.Stderr = slave, slave, slave
	c.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	check(t, c.Start())
	slave.Close()
	screen := make(chan string)
	seen := ""
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			if err != nil {
				close(screen)
				return
			}
			screen <- string(b[:n])
		}
	}()
	until := func(word string) {
		t.Helper()
		for !strings.Contains(seen, word) {
			select {
			case s, ok := <-screen:
				if !ok {
					t.Fatalf("the terminal ended with %q, want %q", seen, word)
				}
				seen += s
			case <-time.After(patience):
				_ = c.Process.Kill()
				t.Fatalf("the terminal shows %q, want %q", seen, word)
			}
		}
	}
	until("40 100\r\nup\r\n")
	setSize(t, master, 50, 132)
	until("50 132")
	_, err := master.Write([]byte{3}) // ^C
	check(t, err)
	until("interrupted")
	for range screen {
	}
	if _ = c.Wait(); c.ProcessState.ExitCode() != 4 {
		t.Errorf("exit status %d, screen %q", c.ProcessState.ExitCode(), seen)
	}
	nothingLeft(t, id)
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
