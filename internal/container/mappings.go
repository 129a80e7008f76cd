package container

import (
	"errors"
	"os"
	"strconv"
	"syscall"

	"ostia/internal/file"
	"ostia/internal/host"
	"ostia/internal/plan"
	"ostia/internal/program"
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// userNamespace says how the stage gets its user namespace. The fork itself
// writes the mappings where this process may write any; otherwise the stage
// makes the namespace and waits for them.
func (c *creation) userNamespace(in *plan.Input, sys *syscall.SysProcAttr) {
	l := &c.spec.Linux
	if !canMap() {
		in.Cloned = 0
		return
	}
	sys.UidMappings, sys.GidMappings = idMap(l.UIDMappings), idMap(l.GIDMappings)
	sys.GidMappingsEnableSetgroups = true
	ownStdio(l)
	// An unmapped uid loses its capabilities at the stage's execve: be root of
	// the namespace before it.
	sys.Credential = &syscall.Credential{NoSetGroups: c.spec.Extensions.KeepGroups}
}

// ownStdio gives what this process has for standard streams to root of the
// container's user namespace: an id that is not mapped there can neither open
// them again as /dev/stdout nor give them to another. The stage gives them to
// process.user. Devices and a file to be read are left alone, and so is what may
// not be given away.
func ownStdio(l *spec.Linux) {
	uid, gid := hostRoot(l.UIDMappings), hostRoot(l.GIDMappings)
	if uid <= 0 && gid <= 0 {
		return
	}
	for fd := range 3 {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) != nil {
			continue
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			if fd == 0 {
				continue
			}
			fallthrough
		case unix.S_IFIFO, unix.S_IFSOCK:
			_ = unix.Fchown(fd, uid, gid)
		}
	}
}

// hostRoot is what the container's root is on the host, -1 for nobody.
func hostRoot(ms []spec.IDMapping) int { return hostID(ms, 0) }

// hostID is what an id of the container is on the host, or -1.
func hostID(ms []spec.IDMapping, id uint32) int {
	for _, m := range ms {
		if id >= m.ContainerID && id-m.ContainerID < m.Size {
			return int(m.HostID + id - m.ContainerID)
		}
	}
	return -1
}

// mapOwnIDs gives a new user namespace without mappings those that crun gives
// it: this process's ids become process.user, and those that /etc/subuid and
// /etc/subgid allow it are the others; with none, its ids become root.
func mapOwnIDs(s *spec.Spec) {
	l := &s.Linux
	if len(l.UIDMappings)+len(l.GIDMappings) > 0 || plan.BornWith(s)&unix.CLONE_NEWUSER == 0 {
		return
	}
	uid, user := os.Geteuid(), s.Process.User
	name := UserName(uid)
	l.UIDMappings = ownIDs(uint32(uid), user.UID, host.SubordinateIDs("/etc/subuid", uid, name))
	l.GIDMappings = ownIDs(uint32(os.Getegid()), user.GID, host.SubordinateIDs("/etc/subgid", uid, name))
}

func ownIDs(own, inside uint32, ranges []host.IDRange) (ms []spec.IDMapping) {
	if len(ranges) == 0 {
		return []spec.IDMapping{{ContainerID: 0, HostID: own, Size: 1}}
	}
	first, left := ranges[0].First, ranges[0].Size
	if below := min(inside, left); below > 0 {
		ms = append(ms, spec.IDMapping{ContainerID: 0, HostID: first, Size: below})
		first, left = first+below, left-below
	}
	ms = append(ms, spec.IDMapping{ContainerID: inside, HostID: own, Size: 1})
	if left > 0 {
		ms = append(ms, spec.IDMapping{ContainerID: inside + 1, HostID: first, Size: left})
	}
	return ms
}

// canMap reports whether this process may map any id: CAP_SETUID and
// CAP_SETGID (user_namespaces(7)).
func canMap() bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	const both = 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID
	return unix.Capget(&hdr, &data[0]) == nil && data[0].Effective&both == both
}

// ownMapping reports whether the one thing mapped is the user itself, which
// needs no privilege.
func ownMapping(ms []spec.IDMapping, id int) bool {
	return len(ms) == 1 && ms[0].Size == 1 && int(ms[0].HostID) == id
}

// writeMappings writes the mappings of a stage that waits in a new user
// namespace: a single own id directly, more of them as root or by
// newuidmap(1) and newgidmap(1), which /etc/subuid and /etc/subgid allow.
func writeMappings(pid int, l *spec.Linux) error {
	proc := "/proc/" + strconv.Itoa(pid)
	if canMap() || ownMapping(l.UIDMappings, os.Geteuid()) && ownMapping(l.GIDMappings, os.Getegid()) {
		if !canMap() {
			// Without privilege a gid is mapped only where groups cannot be dropped.
			if err := file.Write(proc+"/setgroups", "deny"); err != nil {
				return failed("write", proc+"/setgroups", err)
			}
		}
		if err := file.Write(proc+"/gid_map", mapText(l.GIDMappings)); err != nil {
			return &spec.Error{Pointer: "linux.gidMappings", Err: err}
		}
		if err := file.Write(proc+"/uid_map", mapText(l.UIDMappings)); err != nil {
			return &spec.Error{Pointer: "linux.uidMappings", Err: err}
		}
		return nil
	}
	if err := newIDMap("newuidmap", pid, l.UIDMappings); err != nil {
		return &spec.Error{Pointer: "linux.uidMappings", Err: err}
	}
	if err := newIDMap("newgidmap", pid, l.GIDMappings); err != nil {
		return &spec.Error{Pointer: "linux.gidMappings", Err: err}
	}
	return nil
}

func mapText(ms []spec.IDMapping) string {
	text := ""
	for _, m := range ms {
		text += strconv.FormatUint(uint64(m.ContainerID), 10) + " " + strconv.FormatUint(uint64(m.HostID), 10) + " " + strconv.FormatUint(uint64(m.Size), 10) + "\n"
	}
	return text
}

// newIDMap runs newuidmap or newgidmap.
func newIDMap(tool string, pid int, ms []spec.IDMapping) error {
	path, err := program.Find(tool)
	if err != nil {
		return errors.New(tool + " is not installed: it is needed to map more than one's own id (Debian: apt install uidmap)")
	}
	args := []string{tool, strconv.Itoa(pid)}
	for _, m := range ms {
		args = append(args, strconv.FormatUint(uint64(m.ContainerID), 10), strconv.FormatUint(uint64(m.HostID), 10), strconv.FormatUint(uint64(m.Size), 10))
	}
	mapper := program.Program{Path: path, Args: args, Env: os.Environ()}
	out, status, err := mapper.Run()
	if err != nil {
		return failed(tool, "", err)
	}
	if status != 0 {
		return errors.New(program.OneLine(out) + ": check the ranges of this user in /etc/subuid and /etc/subgid")
	}
	return nil
}
