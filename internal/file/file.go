// Package file reads and writes whole small files and descriptors by plain
// system calls: a file of package os starts the poller, 30 µs of every command.
// It knows no path by name.
package file

import "golang.org/x/sys/unix"

// Read returns what a file holds.
func Read(path string) (string, error) {
	fd, err := open(path, unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	return ReadAll(fd)
}

// Write writes to a file that exists, from its beginning.
func Write(path, text string) error {
	fd, err := open(path, unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return WriteAll(fd, text)
}

func open(path string, flags int) (int, error) {
	for {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// ReadAll reads a descriptor to its end.
func ReadAll(fd int) (string, error) {
	b := make([]byte, 0, 4096)
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := unix.Read(fd, b[len(b):cap(b)])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return "", err
		}
		if n == 0 {
			return string(b), nil
		}
		b = b[:len(b)+n]
	}
}

// WriteAll writes all of text, in one write(2) unless the kernel takes less.
func WriteAll[T string | []byte](fd int, text T) error {
	for b := []byte(text); len(b) > 0; {
		n, err := unix.Write(fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// Names lists an open folder, in no order.
func Names(fd int) (names []string, err error) {
	buf := make([]byte, 8192)
	for {
		n, err := unix.ReadDirent(fd, buf)
		if err != nil {
			return nil, err
		}
		if n <= 0 {
			return names, nil
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}
