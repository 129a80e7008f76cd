package state

import (
	"maps"
	"slices"

	"ostia/internal/cgroup"
	"ostia/internal/json"
	"ostia/internal/spec"
	"ostia/internal/systemd"

	"golang.org/x/sys/unix"
)

// State is what is kept of a container. Its status is not: it is worked out
// from the process.
type State struct {
	Version      string // ociVersion
	ID           string
	Pid          int    // of the first process, 0 until it is forked
	StartTime    uint64 // of that process, see StartTime
	Bundle       string
	Rootfs       string
	RootfsMount  uint64 // without a mount namespace: the mount that Rootfs lies on below the container's
	Created      string // RFC 3339
	Owner        int    // uid
	Annotations  map[string]string
	NoNewKeyring bool
	Machine      bool          // the container is a virtual machine: Pid is its monitor's
	OwnPidNS     bool          // in a new pid namespace
	OtherTimeNS  bool          // restored into a time namespace that the configuration does not name
	Poststart    bool          // has such hooks
	Poststop     bool          // has such hooks
	Resctrl      bool          // has a resource control group (linux.intelRdt)
	Cgroup       *cgroup.Group // nil for none
	Unit         *systemd.Unit // that has the cgroup, nil for none
	Config       string        // the text that it was made from, once read
}

func (s *State) encode() []byte {
	e := json.NewEncoder("")
	e.Object(func() {
		e.Key("ociVersion").String(s.Version)
		e.Key("id").String(s.ID)
		e.Key("bundle").String(s.Bundle)
		e.Key("rootfs").String(s.Rootfs)
		if s.RootfsMount != 0 {
			e.Key("rootfsMount").Uint(s.RootfsMount)
		}
		e.Key("created").String(s.Created)
		e.Key("owner").Int(int64(s.Owner))
		annotations(e, s.Annotations)
		e.Key("noNewKeyring").Bool(s.NoNewKeyring)
		if s.Machine {
			e.Key("machine").Bool(true)
		}
		e.Key("ownPidNS").Bool(s.OwnPidNS)
		if s.OtherTimeNS {
			e.Key("otherTimeNS").Bool(true)
		}
		e.Key("poststart").Bool(s.Poststart)
		e.Key("poststop").Bool(s.Poststop)
		e.Key("resctrl").Bool(s.Resctrl)
		if g := s.Cgroup; g != nil {
			e.Key("cgroup").Object(func() {
				e.Key("v2").Bool(g.V2)
				e.Key("dirs").Array(func() {
					for i := range g.Dirs {
						d := &g.Dirs[i]
						e.Strings([]string{d.Name, d.Controllers, d.Mount, d.Path})
					}
				})
			})
		}
		if u := s.Unit; u != nil {
			e.Key("unit").Object(func() {
				e.Key("name").String(u.Name)
				e.Key("slice").String(u.Slice)
				e.Key("user").Bool(u.User)
				e.Key("subgroup").String(u.Subgroup)
			})
		}
	})
	return e.Bytes()
}

func annotations(e *json.Encoder, m map[string]string) {
	if len(m) == 0 {
		return
	}
	e.Key("annotations").Object(func() {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			e.Key(k).String(m[k])
		}
	})
}

func decode(text string) (*State, error) {
	d := json.NewDecoder(text)
	s := new(State)
	d.Object(func(key string) {
		switch key {
		case "ociVersion":
			s.Version = d.String()
		case "id":
			s.ID = d.String()
		case "bundle":
			s.Bundle = d.String()
		case "rootfs":
			s.Rootfs = d.String()
		case "rootfsMount":
			s.RootfsMount = d.Uint(64)
		case "created":
			s.Created = d.String()
		case "owner":
			s.Owner = int(d.Int(64))
		case "annotations":
			s.Annotations = make(map[string]string)
			d.Object(func(k string) { s.Annotations[k] = d.String() })
		case "noNewKeyring":
			s.NoNewKeyring = d.Bool()
		case "machine":
			s.Machine = d.Bool()
		case "ownPidNS":
			s.OwnPidNS = d.Bool()
		case "otherTimeNS":
			s.OtherTimeNS = d.Bool()
		case "poststart":
			s.Poststart = d.Bool()
		case "poststop":
			s.Poststop = d.Bool()
		case "resctrl":
			s.Resctrl = d.Bool()
		case "cgroup":
			s.Cgroup = decodeCgroup(d)
		case "unit":
			s.Unit = decodeUnit(d)
		default:
			d.Skip()
		}
	})
	return s, d.End()
}

func decodeCgroup(d *json.Decoder) *cgroup.Group {
	g := new(cgroup.Group)
	d.Object(func(key string) {
		switch key {
		case "v2":
			g.V2 = d.Bool()
		case "dirs":
			d.Array(func(int) {
				f := d.Strings()
				if len(f) != 4 {
					d.Refuse("expected four strings")
					return
				}
				g.Dirs = append(g.Dirs, cgroup.Dir{Name: f[0], Controllers: f[1], Mount: f[2], Path: f[3]})
			})
		default:
			d.Skip()
		}
	})
	return g
}

func decodeUnit(d *json.Decoder) *systemd.Unit {
	u := new(systemd.Unit)
	d.Object(func(key string) {
		switch key {
		case "name":
			u.Name = d.String()
		case "slice":
			u.Slice = d.String()
		case "user":
			u.User = d.Bool()
		case "subgroup":
			u.Subgroup = d.String()
		default:
			d.Skip()
		}
	})
	return u
}

// OCI is the state of the specification (runtime.md#state), as hooks read it.
func (s *State) OCI(status string, pid int) []byte {
	e := json.NewEncoder("")
	s.oci(e, status, pid)
	return e.Bytes()
}

func (s *State) oci(e *json.Encoder, status string, pid int) {
	e.Object(func() {
		e.Key("ociVersion").String(spec.Version)
		e.Key("id").String(s.ID)
		e.Key("status").String(status)
		if pid != 0 {
			e.Key("pid").Int(int64(pid))
		}
		e.Key("bundle").String(s.Bundle)
		annotations(e, s.Annotations)
	})
}

// ProcessState is what a seccomp agent is told along with the listener
// (config-linux.md#containerprocessstate).
func (s *State) ProcessState(status string, pid int, metadata string) []byte {
	e := json.NewEncoder("")
	e.Object(func() {
		e.Key("ociVersion").String(spec.Version)
		e.Key("fds").Strings([]string{"seccompFd"})
		e.Key("pid").Int(int64(pid))
		e.Key("metadata").String(metadata)
		e.Key("state")
		s.oci(e, status, s.Pid)
	})
	return e.Bytes()
}

// Alive reports whether the first process still lives: a zombie does not, and
// neither does another process that has got its number. An error says that it
// could not be looked at: no descriptor was left, say.
func (s *State) Alive() (bool, error) {
	if s.Pid <= 0 {
		return false, nil
	}
	ticks, state, err := StartTime(s.Pid)
	if err == unix.ENOENT || err == unix.ESRCH {
		return false, nil
	}
	return err == nil && ticks == s.StartTime && state != 'Z' && state != 'X', err
}

// Process is a pidfd of the first process, unix.ESRCH if it has ended. The start
// time is compared after the pidfd is had, so it can be nobody else's.
func (s *State) Process() (int, error) {
	if s.Pid <= 0 {
		return -1, unix.ESRCH
	}
	fd, err := unix.PidfdOpen(s.Pid, 0)
	if err == unix.EINVAL || err == unix.ENOENT {
		// It has ended, and its number is that of a session in which somebody is
		// left (EINVAL until Linux 6.9), or has become that of a thread.
		err = unix.ESRCH
	}
	if err != nil {
		return -1, err
	}
	alive, err := s.Alive()
	if err == nil && !alive {
		err = unix.ESRCH
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
