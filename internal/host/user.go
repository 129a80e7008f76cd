package host

import (
	"strconv"
	"strings"

	"ostia/internal/file"
	"ostia/internal/program"

	"golang.org/x/sys/unix"
)

// IDRange is a range of ids of the host.
type IDRange struct{ First, Size uint32 }

// SubordinateIDs returns what a file like /etc/subuid gives a user, by number
// or name (subuid(5)). No such file gives nothing.
func SubordinateIDs(path string, uid int, name string) (list []IDRange) {
	text, err := file.Read(path)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 3 || f[0] != name && f[0] != strconv.Itoa(uid) {
			continue
		}
		first, err := strconv.ParseUint(f[1], 10, 32)
		size, err2 := strconv.ParseUint(f[2], 10, 32)
		if err == nil && err2 == nil {
			list = append(list, IDRange{uint32(first), uint32(size)})
		}
	}
	return list
}

func (e *examination) user(u *User) {
	e.topic = "user"
	if u.UID == 0 {
		e.add("privilege", OK, "root", "")
	} else {
		e.add("privilege", OK, u.Name+" (rootless)", "")
	}
	for _, tool := range [...]string{"newuidmap", "newgidmap"} {
		path, err := program.Find(tool)
		switch {
		case err != nil:
			e.add(tool, Absent, "not installed", "an ordinary user can map only the own id: install uidmap (Debian) or shadow-utils (Fedora)")
		case !privileged(path):
			e.add(tool, Absent, path+" without privilege", "it maps nothing as it is: chmod u+s "+path+", or give it its file capability again")
		default:
			e.add(tool, OK, path, "")
		}
	}
	if u.UID == 0 {
		return // root maps any id
	}
	for _, path := range [...]string{"/etc/subuid", "/etc/subgid"} {
		total := 0
		for _, r := range SubordinateIDs(path, u.UID, u.Name) {
			total += int(r.Size)
		}
		level, found := OK, strconv.Itoa(total)+" ids"
		if total < 65536 {
			level = Absent
		}
		option := "--add-sub" + path[len("/etc/sub"):] + "s"
		e.add(path, level, found, "images use ids up to 65535: usermod "+option+" 100000-165535 "+u.Name)
	}
}

// privileged reports whether a program runs with more than its caller has:
// set-user-id or a file capability.
func privileged(path string) bool {
	var st unix.Stat_t
	if unix.Stat(path, &st) == nil && st.Mode&unix.S_ISUID != 0 && st.Uid == 0 {
		return true
	}
	n, err := unix.Getxattr(path, "security.capability", nil)
	return err == nil && n > 0
}
