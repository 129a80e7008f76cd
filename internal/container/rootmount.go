package container

import (
	"ostia/internal/spec"
	"ostia/internal/state"

	"golang.org/x/sys/unix"
)

// rootfsMount is the mount that a container's root lies on when the container
// has no mount namespace and so mounts on the host, else 0.
func rootfsMount(s *spec.Spec, rootfs string) (uint64, error) {
	for i := range s.Linux.Namespaces {
		if s.Linux.Namespaces[i].Flag == unix.CLONE_NEWNS {
			return 0, nil
		}
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

func mountID(path string) (uint64, error) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_MNT_ID, &st)
	return st.Mnt_id, err
}
