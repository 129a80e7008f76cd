package test

import (
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// recvtty SOCKET is the program at the other end of --console-socket: it
// takes the terminal, writes its input there and prints what comes back.
func recvtty() {
	_, files := receive(os.Args[1])
	if len(files) != 1 {
		fail(fmt.Errorf("%d descriptors", len(files)))
	}
	// A terminal whose other end is closed answers EIO: that is its end of file.
	go io.Copy(files[0], os.Stdin)
	io.Copy(os.Stdout, files[0])
}

// recvfd SOCKET prints the message that came with descriptors, and what
// each descriptor is.
func recvfd() {
	message, files := receive(os.Args[1])
	fmt.Printf("message %s\n", message)
	for _, f := range files {
		link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
		if err != nil {
			fail(err)
		}
		fmt.Printf("descriptor %s\n", link)
	}
}

func receive(socket string) ([]byte, []*os.File) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		fail(err)
	}
	conn, err := l.AcceptUnix()
	if err != nil {
		fail(err)
	}
	l.Close()
	message, control := make([]byte, 64<<10), make([]byte, 4096)
	n, cn, _, _, err := conn.ReadMsgUnix(message, control)
	if err != nil {
		fail(err)
	}
	parts, err := syscall.ParseSocketControlMessage(control[:cn])
	if err != nil {
		fail(err)
	}
	var files []*os.File
	for _, part := range parts {
		fds, err := syscall.ParseUnixRights(&part)
		if err != nil {
			fail(err)
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return message[:n], files
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
