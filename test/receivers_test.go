package test

import (
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
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

// agent SOCKET takes a seccomp listener, says of each system call that it has
// received it and, once the file "answer" is there, that it may go on.
func agent() {
	_, files := receive(os.Args[1])
	defer files[0].Close()
	listener := int32(files[0].Fd())
	for {
		poll := []unix.PollFd{{Fd: listener, Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, -1); err == unix.EINTR {
			continue
		} else if err != nil {
			fail(err)
		}
		if poll[0].Revents&unix.POLLIN == 0 { // nobody is left
			return
		}
		var call struct { // struct seccomp_notif, seccomp_unotify(2)
			id         uint64
			pid, flags uint32
			data       [64]byte
		}
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&call))); e != 0 {
			continue // it has been taken back
		}
		fmt.Println("received")
		for !fileExists("answer") {
			time.Sleep(10 * time.Millisecond)
		}
		response := struct { // struct seccomp_notif_resp
			id           uint64
			value        int64
			error, flags uint32
		}{id: call.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&response)))
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
