package systemd

import (
	"errors"

	"ostia/internal/dbus"
)

// The answers that are no failure of a call, or one that can be mended.
const (
	unitExists = "org.freedesktop.systemd1.UnitExists"
	noSuchUnit = "org.freedesktop.systemd1.NoSuchUnit"
	noFile     = "org.freedesktop.DBus.Error.FileNotFound" // the same, for a unit that was never loaded
)

// existError is a scope whose name another one has.
type existError struct{ err error }

func (e *existError) Error() string {
	return "a unit of this name exists: choose another linux.cgroupsPath, or stop it (systemctl stop)"
}
func (e *existError) Unwrap() error { return e.err }

// Start has the manager make the unit around a process, and returns when the
// process is in it. A unit of the same name that has failed is forgotten first;
// any other is ErrRefused.
func (m *Manager) Start(u *Unit, pid int, properties []Property) error {
	m.subscribe()
	body := make([]dbus.Value, 0, len(properties)+8)
	body = append(body,
		property("Slice", dbus.String(u.Slice)),
		property("PIDs", dbus.Value{Type: "au", List: []dbus.Value{dbus.Uint32(uint32(pid))}}),
		// The runtime has killed everything when it stops the unit, and the
		// container is to outlive whatever shutdown.target conflicts with.
		property("DefaultDependencies", dbus.Bool(false)),
		property("Delegate", dbus.Bool(true)),
		property("CPUAccounting", dbus.Bool(true)),
		property("MemoryAccounting", dbus.Bool(true)),
		property("IOAccounting", dbus.Bool(true)),
		property("TasksAccounting", dbus.Bool(true)),
	)
	for i := range properties {
		body = append(body, property(properties[i].Name, properties[i].Value))
	}
	for again := false; ; again = true {
		path, err := m.path(m.call(iface, "StartTransientUnit", dbus.String(u.Name), dbus.String("fail"),
			dbus.Value{Type: "a(sv)", List: body}, dbus.Value{Type: "a(sa(sv))"}))
		if err == nil {
			err = m.await(path)
		}
		switch {
		case err == nil:
			return nil
		case !is(err, unitExists):
			return explain(failed("start "+u.Name, err), properties)
		case again:
			return failed("start "+u.Name, &existError{err})
		}
		m.reset(u.Name)
	}
}

// Stop has the manager stop the unit and forget it. One that it does not know
// is no error.
func (m *Manager) Stop(u *Unit) error {
	m.subscribe()
	path, err := m.path(m.call(iface, "StopUnit", dbus.String(u.Name), dbus.String("replace")))
	if err == nil {
		err = m.await(path)
	}
	m.reset(u.Name)
	if err == nil || is(err, noSuchUnit) || is(err, noFile) {
		return nil
	}
	return failed("stop "+u.Name, err)
}

// reset has the manager forget a unit that has failed. Any other it has
// forgotten by itself: that is an error which says nothing.
func (m *Manager) reset(unit string) {
	_, _ = m.conn.Reply(m.call(iface, "ResetFailedUnit", dbus.String(unit)))
}

// Attach moves a process into the cgroup of the unit's processes.
func (m *Manager) Attach(u *Unit, pid int) error {
	_, err := m.conn.Reply(m.call(iface, "AttachProcessesToUnit", dbus.String(u.Name), dbus.String("/"+u.Subgroup),
		dbus.Value{Type: "au", List: []dbus.Value{dbus.Uint32(uint32(pid))}}))
	if err != nil {
		return failed("attach a process to "+u.Name, err)
	}
	return nil
}

// Set changes properties of the unit until it ends, and returns when its cgroup
// has them.
func (m *Manager) Set(u *Unit, list []Property) error {
	body := make([]dbus.Value, 0, len(list))
	for i := range list {
		body = append(body, property(list[i].Name, list[i].Value))
	}
	_, err := m.conn.Reply(m.call(iface, "SetUnitProperties", dbus.String(u.Name), dbus.Bool(true), dbus.Value{Type: "a(sv)", List: body}))
	if err != nil {
		return explain(failed("set properties of "+u.Name, err), list)
	}
	// It answers before it writes to the cgroup, and takes the next call after.
	_, err = m.answer(m.call(properties, "Get", dbus.String(iface), dbus.String("Version")))
	return err
}

func property(name string, v dbus.Value) dbus.Value {
	return dbus.Struct(dbus.String(name), dbus.Variant(v))
}

// subscribe has a bus pass on the ends of jobs. The manager's own socket does
// so unasked.
func (m *Manager) subscribe() {
	if !m.conn.Bus() {
		return
	}
	m.conn.Send(&dbus.Call{Destination: "org.freedesktop.DBus", Path: "/org/freedesktop/DBus", Interface: "org.freedesktop.DBus", Member: "AddMatch",
		Body: []dbus.Value{dbus.String("type='signal',sender='" + service + "',path='" + object + "',interface='" + iface + "',member='JobRemoved'")}})
}

// path is the job that a call has queued.
func (m *Manager) path(serial uint32) (string, error) {
	m.ended = nil
	reply, err := m.conn.Reply(serial)
	if err != nil {
		return "", err
	}
	m.sender = reply.Sender
	values, err := reply.Values("o")
	if err != nil {
		return "", err
	}
	return values[0].Text, nil
}

// signal notes the jobs that end.
func (m *Manager) signal(s *dbus.Message) {
	if s.Member != "JobRemoved" || s.Interface != iface || s.Path != object {
		return
	}
	if values, err := s.Values("uoss"); err == nil {
		m.ended = append(m.ended, job{s.Sender, values[1].Text, values[3].Text})
	}
}

// await waits for the end of a job. On a bus anybody may send signals: only
// those of who has taken the job count.
func (m *Manager) await(path string) error {
	ended := func() (string, bool) {
		for _, j := range m.ended {
			if j.path == path && j.sender == m.sender {
				return j.result, true
			}
		}
		return "", false
	}
	result, ok := ended()
	if !ok {
		err := m.conn.Until(func(*dbus.Message) bool {
			result, ok = ended()
			return ok
		})
		if err != nil {
			return err
		}
	}
	if result != "done" {
		return errors.New("the job ended with " + result + ": see journalctl")
	}
	return nil
}
