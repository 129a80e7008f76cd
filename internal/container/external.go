package container

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"ostia/internal/cgroup"
	"ostia/internal/file"
	"ostia/internal/json"
	"ostia/internal/linux"
	"ostia/internal/mountinfo"
	"ostia/internal/plan"
	"ostia/internal/spec"
	"ostia/internal/state"

	"golang.org/x/sys/unix"
)

// The names that namespaces of others have among the images, as with runc.
const (
	externalNet = "extRootNetNS"
	externalPid = "extRootPidNS"
)

// externalNamespaces leaves out namespaces that the container was put into.
func externalNamespaces(q *CriuRequest, s *spec.Spec) error {
	for i := range s.Linux.Namespaces {
		n := &s.Linux.Namespaces[i]
		var kind, name string
		switch n.Flag {
		case unix.CLONE_NEWNET:
			kind, name = "net", externalNet
		case unix.CLONE_NEWPID:
			kind, name = "pid", externalPid
		}
		if kind == "" || n.Path == "" {
			continue
		}
		var st unix.Stat_t
		// Of the process, since the path may lead elsewhere by now.
		if err := unix.Stat("/proc/"+strconv.Itoa(q.Pid)+"/ns/"+kind, &st); err != nil {
			return failed("namespace", kind, err)
		}
		q.External = append(q.External, kind+"["+strconv.FormatUint(st.Ino, 10)+"]:"+name)
	}
	return nil
}

// external names the mounts and the descriptors that lead out of the container,
// and notes the latter among the images.
func external(q *CriuRequest, s *state.State, config *spec.Spec) error {
	proc := "/proc/" + strconv.Itoa(s.Pid)
	text, err := file.Read(proc + "/mountinfo")
	if err != nil {
		return failed("read", proc+"/mountinfo", err)
	}
	mounts := mountinfo.Parse(text)
	if hasNamespace(config, unix.CLONE_NEWNS) {
		list, err := outsideMounts(config, s.Rootfs, s.Cgroup)
		if err != nil {
			return err
		}
		if q.Mounts, err = externalMounts(proc, mounts, list); err != nil {
			return err
		}
	}
	e := json.NewEncoder("")
	e.Array(func() {
		for fd := range 3 {
			key, ext, err := stdioKey(proc, fd, mounts)
			if err == nil && ext && !slices.Contains(q.External, key) {
				q.External = append(q.External, key)
			}
			e.String(key)
		}
	})
	fd, err := unix.Openat(q.Images, descriptorsFile, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err == nil {
		err = file.WriteAll(fd, e.Bytes())
		unix.Close(fd)
	}
	return failed("write", descriptorsFile, err)
}

// nullDevice is what covers a masked file, and its name among the images.
const nullDevice = "/dev/null"

// outside is a mount of the container whose file system is not its own.
type outside struct {
	path   string // in the container, by the configuration's words
	source string // on the host
	name   string // among the images
}

// outsideMounts are the container's, by its configuration: bind mounts, the
// cgroup file system, the null device over masked files, and the devices of a
// user namespace.
func outsideMounts(s *spec.Spec, rootfs string, group *cgroup.Group) (list []outside, err error) {
	info, err := file.Read("/proc/self/mountinfo")
	if err != nil {
		return nil, failed("read", "/proc/self/mountinfo", err)
	}
	add := func(path, source string) { list = append(list, outside{path, source, path}) }
	for i := range s.Mounts {
		m := &s.Mounts[i]
		dest := "/" + plan.Destination(m, rootfs)
		switch {
		case isBind(m):
			add(dest, m.Source)
			if plan.BindOf(m).Open&unix.AT_RECURSIVE != 0 {
				for _, below := range mountsBelow(m.Source, info) {
					if !mountedOver(s, rootfs, dest+below) {
						add(dest+below, m.Source+below)
					}
				}
			}
		case !isCgroup(m):
		case group == nil || group.V2:
			add(dest, cgroupSource(s, group))
		default: // a tmpfs that holds one of each hierarchy
			for j := range group.Dirs {
				add(dest+"/"+group.Dirs[j].Name, group.Dirs[j].Path)
			}
		}
	}
	for _, path := range s.Linux.MaskedPaths {
		list = append(list, outside{path, nullDevice, nullDevice})
	}
	if hasNamespace(s, unix.CLONE_NEWUSER) {
		for _, path := range plan.DevicePaths(s) {
			add(path, path)
		}
	}
	return list, nil
}

func isCgroup(m *spec.Mount) bool { return m.Type == "cgroup" || m.Type == "cgroup2" }

// cgroupSource is what the cgroup file system of the container is a bind mount
// of, as at its creation.
func cgroupSource(s *spec.Spec, group *cgroup.Group) string {
	if group != nil && hasNamespace(s, unix.CLONE_NEWCGROUP) {
		return group.Dirs[0].Path
	}
	return "/sys/fs/cgroup"
}

// mountsBelow are the mount points of the host below a folder, from there:
// what a recursive bind mount of it brings along.
func mountsBelow(source, info string) (list []string) {
	source, err := filepath.EvalSymlinks(source)
	if err != nil {
		return nil // CRIU says what it lacks
	}
	for _, m := range mountinfo.Parse(info) {
		if rest, below := strings.CutPrefix(m.Point, strings.TrimSuffix(source, "/")+"/"); below {
			list = append(list, "/"+rest)
		}
	}
	return list
}

// mountedOver reports whether the configuration mounts something there.
func mountedOver(s *spec.Spec, rootfs, path string) bool {
	return slices.ContainsFunc(s.Mounts, func(m spec.Mount) bool { return "/"+plan.Destination(&m, rootfs) == path })
}

// externalMounts are those of the container's mounts that lead out of it: where
// they are, and their names.
func externalMounts(proc string, mounts []mountinfo.Mount, list []outside) (external []CriuMount, err error) {
	root, err := unix.Open(proc+"/root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, failed("open", proc+"/root", err)
	}
	defer unix.Close(root)
	for _, o := range list {
		point, isFile := mountPoint(root, o.path, mounts)
		known := slices.ContainsFunc(external, func(m CriuMount) bool { return m.Key == point })
		if point != "" && !known && (isFile || o.name != nullDevice) {
			external = append(external, CriuMount{point, o.name})
		}
	}
	return external, nil
}

// mountPoint is the mount point in the container that a path of it leads to, by
// the container's own words: "" for none, or the root.
func mountPoint(root int, path string, mounts []mountinfo.Mount) (point string, isFile bool) {
	fd, err := linux.Openat2(root, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	if err != nil {
		return "", false
	}
	defer unix.Close(fd)
	var st unix.Statx_t
	if unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID|unix.STATX_TYPE, &st) != nil || st.Attributes&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		return "", false
	}
	for i := range mounts {
		if mounts[i].ID == st.Mnt_id && mounts[i].Point != "/" {
			return mounts[i].Point, st.Mode&unix.S_IFMT != unix.S_IFDIR
		}
	}
	return "", false
}

// stdioKey is CRIU's name for one of the process's standard descriptors.
// external says that it is a file that no mount of the container leads to. A
// terminal of outside is none: CRIU would take it for a file that it cannot
// restore.
func stdioKey(proc string, fd int, mounts []mountinfo.Mount) (key string, external bool, err error) {
	number := strconv.Itoa(fd)
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlink(proc+"/fd/"+number, buf)
	if err != nil {
		return "", false, err
	}
	key = string(buf[:n])
	info, err := file.Read(proc + "/fdinfo/" + number)
	var st unix.Stat_t
	if err == nil {
		err = unix.Stat(proc+"/fd/"+number, &st)
	}
	_, text, found := strings.Cut(info, "mnt_id:\t")
	text, _, _ = strings.Cut(text, "\n")
	id, e := strconv.ParseUint(text, 10, 64)
	if err != nil || !found || e != nil || key == "" || key[0] != '/' || strings.HasPrefix(key, "/dev/pts/") {
		return key, false, err // a pipe, a socket, a terminal
	}
	for i := range mounts {
		if mounts[i].ID == id {
			return key, false, nil
		}
	}
	return "file[" + strconv.FormatUint(id, 16) + ":" + strconv.FormatUint(st.Ino, 16) + "]", true, nil
}
