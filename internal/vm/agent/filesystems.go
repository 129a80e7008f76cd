package agent

import (
	"fmt"
	"os"
	"unsafe"

	"ostia/internal/vm/guest"

	"golang.org/x/sys/unix"
)

// fileSystems moves from the initramfs, which no process may pivot away from,
// to a tmpfs, and mounts there what the runtime expects of a host.
func fileSystems() error {
	const root = "/tmp"
	if err := unix.Mount("root", root, "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount the agent's root: %w", err)
	}
	for _, dir := range []string{"dev", "proc", "sys", "run", "tmp", guest.Root, guest.Tree} {
		if err := os.Mkdir(root+"/"+dir, 0o755); err != nil {
			return err
		}
	}
	if err := unix.Chdir(root); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move the agent's root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	for _, m := range []struct{ source, target, fstype string }{
		{"proc", "/proc", "proc"}, {"sysfs", "/sys", "sysfs"}, {"devtmpfs", "/dev", "devtmpfs"},
		{"cgroup2", "/sys/fs/cgroup", "cgroup2"}, {guest.Tag, guest.Root, "virtiofs"},
	} {
		if err := unix.Mount(m.source, m.target, m.fstype, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.fstype, err)
		}
	}
	if err := unix.Mount(guest.Root, guest.Tree, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind the container's tree: %w", err)
	}
	// A guest without pids limits has no controller to enable.
	_ = os.WriteFile("/sys/fs/cgroup/cgroup.subtree_control", []byte("+pids"), 0)
	return nil
}

const (
	bundleDir = "/run/bundle"
	stateDir  = "/run/ostia"
	container = "guest" // its id
)

func bundle(config string) error {
	if err := os.Mkdir(bundleDir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(bundleDir+"/config.json", []byte(config), 0o600)
}

// loopback brings lo up.
func loopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFFLAGS, uintptr(unsafe.Pointer(request)))
	if errno != 0 {
		return errno
	}
	return nil
}
