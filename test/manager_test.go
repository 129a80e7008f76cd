package test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// manager SOCKET PROGRAM [ARG...] is a service manager (sd_notify(3)): it runs
// the program with NOTIFY_SOCKET and prints what it is told until the program
// has ended and a barrier has come, or for a second after the program's end.
func manager() {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: os.Args[1], Net: "unixgram"})
	if err != nil {
		fail(err)
	}
	// By a shell, so that the pid of the program is told: it is the shell's.
	cmd := exec.Command("sh", append([]string{"-c", `echo "program $$"; exec "$@"`, "sh"}, os.Args[2:]...)...)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+os.Args[1])
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		fail(err)
	}
	ended := make(chan error)
	go func() { ended <- cmd.Wait() }()
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		message, control := make([]byte, 4096), make([]byte, 64)
		for {
			n, cn, _, _, err := conn.ReadMsgUnix(message, control)
			if err != nil {
				return
			}
			text := strings.TrimSuffix(string(message[:n]), "\n")
			fmt.Printf("told %s\n", text)
			if parts, err := syscall.ParseSocketControlMessage(control[:cn]); err == nil && len(parts) == 1 {
				fds, _ := syscall.ParseUnixRights(&parts[0])
				for _, fd := range fds {
					syscall.Close(fd) // heard
				}
			}
			if text == "BARRIER=1" {
				return
			}
		}
	}()
	err = <-ended
	conn.SetReadDeadline(time.Now().Add(time.Second))
	<-heard
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	}
}

// activate N PROGRAM [ARG...] is the other half of a service manager
// (sd_listen_fds(3)): it becomes the program, with N listening sockets from
// descriptor 3 on.
func activate() {
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fail(err)
	}
	// What this process has open lies in the way.
	for fd := 3; fd < 3+n; fd++ {
		sock, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		if err != nil {
			fail(err)
		}
		if err := syscall.Bind(sock, &syscall.SockaddrUnix{Name: "@activate-" + strconv.Itoa(os.Getpid()) + "-" + strconv.Itoa(fd)}); err != nil {
			fail(err)
		}
		if err := syscall.Listen(sock, 1); err != nil {
			fail(err)
		}
		if err := syscall.Dup3(sock, 100+fd, 0); err != nil {
			fail(err)
		}
	}
	for fd := 3; fd < 3+n; fd++ {
		syscall.Dup3(100+fd, fd, 0)
		syscall.Close(100 + fd)
	}
	path, err := exec.LookPath(os.Args[2])
	if err != nil {
		fail(err)
	}
	os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
	os.Setenv("LISTEN_FDS", strconv.Itoa(n))
	fail(syscall.Exec(path, os.Args[2:], os.Environ()))
}

// notify MESSAGE tells it to the service manager, as sd_notify(3) does. Scripts
// copy it into a container: it is this test's binary, which is static.
func notify() {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: os.Getenv("NOTIFY_SOCKET"), Net: "unixgram"})
	if err != nil {
		fail(err)
	}
	if _, err := conn.Write([]byte(os.Args[1])); err != nil {
		fail(err)
	}
}
