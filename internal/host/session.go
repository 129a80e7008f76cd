package host

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// session is what the systemd cgroup driver and an ordinary user's state need.
func (e *examination) session(u *User) {
	e.topic = "session"
	e.has("systemd", exists("/run/systemd/system"), Absent, "the systemd cgroup driver cannot be used: use the cgroupfs one")
	e.has("system bus", connects("/run/dbus/system_bus_socket"), Absent, "a user's systemd needs it to move processes into its cgroups: install and start dbus")
	if u.UID == 0 {
		return
	}
	dir := u.Getenv("XDG_RUNTIME_DIR")
	if dir != "" && unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK, unix.AT_EACCESS) == nil {
		e.add("XDG_RUNTIME_DIR", OK, dir, "")
	} else {
		e.add("XDG_RUNTIME_DIR", Absent, "not set, or not this user's", "state has no default place: log in through systemd-logind, or name a folder with --root")
	}
	bus := userBus(u)
	if connects(bus) {
		e.add("user bus", OK, bus, "")
	} else {
		e.add("user bus", Absent, "nobody answers at "+bus, "podman's systemd cgroup driver needs it: install dbus-user-session and log in again")
	}
	e.has("linger", exists("/var/lib/systemd/linger/"+u.Name), Absent, "containers end with the last login: loginctl enable-linger "+u.Name)
}

// userBus is the path of the user bus's socket.
func userBus(u *User) string {
	for address := range strings.SplitSeq(u.Getenv("DBUS_SESSION_BUS_ADDRESS"), ";") {
		if path, ok := strings.CutPrefix(address, "unix:path="); ok {
			path, _, _ = strings.Cut(path, ",")
			return path
		}
	}
	dir := u.Getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		dir = "/run/user/" + strconv.Itoa(u.UID)
	}
	return dir + "/bus"
}

// connects reports whether somebody listens on a socket.
func connects(path string) bool {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return unix.Connect(fd, &unix.SockaddrUnix{Name: path}) == nil
}
