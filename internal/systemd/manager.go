// Package systemd drives systemd's managers, the system's and the user's: it
// works out a container's unit and properties, has the unit made around a
// process, changed and removed. It never touches a cgroup.
package systemd

import (
	"errors"
	"strconv"
	"strings"

	"ostia/internal/dbus"
	"ostia/internal/linux"

	"golang.org/x/sys/unix"
)

// Manager is a connection to a service manager.
type Manager struct {
	conn   *dbus.Conn
	sender string // who has taken the last job, by its name on a bus
	ended  []job
}

// job is one that has ended, as the sender says.
type job struct{ sender, path, result string }

const (
	service    = "org.freedesktop.systemd1"
	object     = "/org/freedesktop/systemd1"
	iface      = "org.freedesktop.systemd1.Manager"
	properties = "org.freedesktop.DBus.Properties"
)

// ErrNone is a host, or a session, without a manager that can be reached.
var ErrNone = errors.New("cannot reach systemd")

// Connect connects to the system's manager, or to the user's own. Like
// systemctl(1) it prefers the manager's own socket to the bus: no other
// process stands between, and no bus need run.
func Connect(user bool) (*Manager, error) {
	m := &Manager{}
	var failure error
	for _, s := range sockets(user) {
		conn, err := dbus.Dial(s.name, s.bus, m.signal)
		if err != nil {
			failure = errors.New(s.name + ": " + err.Error())
			continue
		}
		m.conn = conn
		return m, nil
	}
	way := "is it the init of this host? Use --cgroup-manager cgroupfs otherwise"
	if user {
		way = "the user's manager needs a login session or loginctl enable-linger, and XDG_RUNTIME_DIR (/run/user/UID) set; " +
			"or use --cgroup-manager cgroupfs"
	}
	reason := "no socket is known"
	if failure != nil {
		reason = failure.Error()
	}
	return nil, &noneError{reason + ": " + way}
}

type noneError struct{ text string }

func (e *noneError) Error() string { return ErrNone.Error() + ": " + e.text }
func (e *noneError) Unwrap() error { return ErrNone }

// socket is where a manager can be reached.
type socket struct {
	name string
	bus  bool
}

func sockets(user bool) []socket {
	if !user {
		return []socket{{"/run/systemd/private", false}, {"/run/dbus/system_bus_socket", true}}
	}
	var list []socket
	runtimeDir, _ := unix.Getenv("XDG_RUNTIME_DIR")
	if strings.HasPrefix(runtimeDir, "/") {
		list = append(list, socket{runtimeDir + "/systemd/private", false})
	}
	if address, ok := unix.Getenv("DBUS_SESSION_BUS_ADDRESS"); ok {
		if name := busSocket(address); name != "" {
			list = append(list, socket{name, true})
		}
	}
	if strings.HasPrefix(runtimeDir, "/") {
		list = append(list, socket{runtimeDir + "/bus", true})
	}
	return list
}

// busSocket is the socket in a D-Bus address ("unix:path=/run/user/1/bus,guid=…"),
// empty when there is none.
func busSocket(address string) string {
	for a := range strings.SplitSeq(address, ";") {
		pairs, ok := strings.CutPrefix(a, "unix:")
		if !ok {
			continue
		}
		for pair := range strings.SplitSeq(pairs, ",") {
			key, value, _ := strings.Cut(pair, "=")
			if value = unescape(value); value == "" || strings.IndexByte(value, 0) >= 0 {
				continue
			}
			switch key {
			case "path":
				return value
			case "abstract":
				return "@" + value
			}
		}
	}
	return ""
}

// unescape undoes %XX; what is no such thing stays.
func unescape(s string) string {
	var b []byte
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b = append(b, byte(n))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

// OwnManager reports whether this process's units are of a user's manager: an
// ordinary user's are, and those of the root of a user namespace.
func OwnManager() bool { return unix.Geteuid() != 0 || linux.InUserNS() }

// Close ends the connection.
func (m *Manager) Close() { m.conn.Close() }

// call queues a call to the manager.
func (m *Manager) call(iface, member string, body ...dbus.Value) uint32 {
	c := dbus.Call{Path: object, Interface: iface, Member: member, Body: body}
	if m.conn.Bus() {
		c.Destination = service
	}
	return m.conn.Send(&c)
}

// About returns the manager's own cgroup (empty for the system's on its host,
// /user.slice/user-1.slice/user@1.service for a user's) and systemd's version.
func (m *Manager) About() (controlGroup string, version int, err error) {
	group := m.call(properties, "Get", dbus.String(iface), dbus.String("ControlGroup"))
	number := m.call(properties, "Get", dbus.String(iface), dbus.String("Version"))
	if controlGroup, err = m.answer(group); err != nil {
		return "", 0, failed("ask for its cgroup", err)
	}
	text, err := m.answer(number)
	if err != nil {
		return "", 0, failed("ask for its version", err)
	}
	return controlGroup, versionNumber(text), nil
}

func (m *Manager) answer(serial uint32) (string, error) {
	reply, err := m.conn.Reply(serial)
	if err != nil {
		return "", err
	}
	values, err := reply.Values("v")
	if err != nil {
		return "", err
	}
	return values[0].List[0].Text, nil
}

// versionNumber is 252 of "252.39-1~deb12u2" or "v252".
func versionNumber(text string) int {
	text = strings.TrimPrefix(text, "v")
	end := 0
	for end < len(text) && '0' <= text[end] && text[end] <= '9' {
		end++
	}
	n, _ := strconv.Atoi(text[:end])
	return n
}

// Error is a call to systemd that failed.
type Error struct {
	Op  string
	Err error
}

func (e *Error) Error() string { return "systemd: " + e.Op + ": " + e.Err.Error() }

// ErrRefused is a call that systemd has answered with an error: nothing has
// changed.
var ErrRefused = errors.New("systemd: refused")

// Is reports an answer that is an error as ErrRefused too.
func (e *Error) Is(target error) bool {
	var answer *dbus.Error
	return target == ErrRefused && errors.As(e.Err, &answer)
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

func failed(op string, err error) error { return &Error{op, err} }

// is reports whether systemd answered with an error of this name.
func is(err error, name string) bool {
	var e *dbus.Error
	return errors.As(err, &e) && e.Name == name
}
