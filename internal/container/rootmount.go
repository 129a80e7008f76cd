package container

import (
	"slices"
	"strings"

	"ostia/internal/file"
	"ostia/internal/mountinfo"
	"ostia/internal/spec"
	"ostia/internal/state"

	"golang.org/x/sys/unix"
)

// rootfsMount is the mount that a container's root lies on when the container
// has no mount namespace and so mounts on the host, else 0.
func rootfsMount(s *spec.Spec, rootfs string) (uint64, error) {
	if hasNamespace(s, unix.CLONE_NEWNS) {
		return 0, nil
	}
	id, err := mountID(rootfs)
	return id, failed("root.path", rootfs, err)
}

// takeOffMounts takes off what a container without a mount namespace has
// mounted on its root, which is one mount with all others in it. Where it never
// came to lie there, the path still lies on the mount that it did before.
func takeOffMounts(s *state.State) error {
	if s.RootfsMount == 0 {
		return nil
	}
	id, err := mountID(s.Rootfs)
	if err == unix.ENOENT || err == nil && id == s.RootfsMount {
		return nil
	}
	if err == nil {
		err = unix.Unmount(s.Rootfs, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	}
	if err == unix.EINVAL { // not a mount: whoever owns the root was faster
		return nil
	}
	return failed("unmount", s.Rootfs, err)
}

// bareMounts are the runtime's mounts of procfs and sysfs outside of a
// container's root, the last first: what is mounted on another goes before it.
func bareMounts(rootfs string) ([]string, error) {
	text, err := file.Read("/proc/self/mountinfo")
	if err != nil {
		return nil, failed("read", "/proc/self/mountinfo", err)
	}
	var points []string
	for _, m := range mountinfo.Parse(text, "proc", "sysfs") {
		if !strings.HasPrefix(m.Point, rootfs+"/") {
			points = append(points, m.Point)
		}
	}
	slices.Reverse(points)
	return points, nil
}

func mountID(path string) (uint64, error) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_MNT_ID, &st)
	return st.Mnt_id, err
}
