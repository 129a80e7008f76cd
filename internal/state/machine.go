package state

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// socketPath leads to the monitor's socket by the folder's descriptor: a path
// in sun_path has 108 bytes at most.
func (d *Dir) socketPath() *unix.SockaddrUnix {
	return &unix.SockaddrUnix{Name: "/proc/self/fd/" + strconv.Itoa(d.fd) + "/" + socketFile}
}

// Listen makes the socket at which a monitor takes connections.
func (d *Dir) Listen() (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err = unix.Bind(fd, d.socketPath()); err == nil {
		err = unix.Listen(fd, 16)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// Connect connects to the monitor.
func (d *Dir) Connect() (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Connect(fd, d.socketPath()); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// MakeReason makes the file in which a monitor says why it has failed.
func (d *Dir) MakeReason() (int, error) {
	return unix.Openat(d.fd, reasonFile, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
}

// ReasonNone is what a monitor writes whose guest gave a status.
const ReasonNone = "none"

// Reason is what a monitor said, "" for nothing.
func (d *Dir) Reason() (string, error) {
	text, err := d.read(reasonFile)
	if err == unix.ENOENT {
		err = nil
	}
	return text, err
}
