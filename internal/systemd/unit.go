package systemd

import (
	"errors"
	"strconv"
	"strings"
)

// Unit is the scope that a container lives in. It is a plain value, kept in the
// container's state.
type Unit struct {
	Name  string // "libpod-1f….scope"
	Slice string // the unit above: "machine.slice", "-.slice" for the root
	User  bool   // of the user's own manager, not of the system's
	// Subgroup is the cgroup below the unit's that the container's processes are
	// in; empty is the unit's own.
	Subgroup string
}

// Scope works out the unit that linux.cgroupsPath names, SLICE:PREFIX:NAME, as
// runc does: the slice is system.slice, or user.slice of a user's manager,
// unless it is given; PREFIX-NAME.scope is the unit. An empty path is
// :ostia:ID.
func Scope(cgroupsPath, id string, user bool) (*Unit, error) {
	u := &Unit{Name: "ostia-" + escape(id) + ".scope", User: user}
	if cgroupsPath != "" {
		parts := strings.Split(cgroupsPath, ":")
		if len(parts) != 3 {
			return nil, errors.New("the systemd cgroup driver wants SLICE:PREFIX:NAME, like system.slice:ostia:web")
		}
		if strings.HasSuffix(parts[2], ".slice") {
			return nil, errors.New("a slice holds units, not processes: leave \".slice\" off the name")
		}
		u.Slice, u.Name = parts[0], parts[1]+"-"+parts[2]+".scope"
	}
	if err := checkName(u.Name); err != nil {
		return nil, err
	}
	switch {
	case u.Slice == "" && user:
		u.Slice = "user.slice"
	case u.Slice == "":
		u.Slice = "system.slice"
	case u.Slice == "-":
		u.Slice = "-.slice"
	}
	_, err := slicePath(u.Slice)
	return u, err
}

// Path is the unit's cgroup, from the root of the hierarchy, in a manager whose
// own is controlGroup: systemd lays slices out by the dashes in their names.
func (u *Unit) Path(controlGroup string) string {
	path, _ := slicePath(u.Slice) // Scope has checked it
	return strings.TrimSuffix(controlGroup, "/") + path + "/" + u.Name
}

// slicePath is the way down to a slice: a-b.slice is /a.slice/a-b.slice.
func slicePath(slice string) (string, error) {
	name, ok := strings.CutSuffix(slice, ".slice")
	if err := checkName(slice); err != nil {
		return "", err
	}
	if !ok {
		return "", errors.New(strconv.Quote(slice) + " is no slice: its name ends in \".slice\"")
	}
	if name == "-" {
		return "", nil
	}
	path := ""
	for i := 0; i <= len(name); i++ {
		if i < len(name) && name[i] != '-' {
			continue
		}
		if i == 0 || name[i-1] == '-' {
			return "", errors.New(strconv.Quote(slice) + " is no slice: a dash stands between two names, a-b.slice lies in a.slice")
		}
		path += "/" + name[:i] + ".slice"
	}
	return path, nil
}

// checkName refuses what systemd would not take as a unit's name
// (systemd.unit(5)).
func checkName(name string) error {
	if len(name) > 255 {
		return errors.New("makes a unit name of " + strconv.Itoa(len(name)) + " bytes: systemd takes at most 255")
	}
	for i := range len(name) {
		if !plain(name[i]) && name[i] != '\\' && name[i] != '@' {
			return errors.New("makes the unit name " + strconv.Quote(name) + ": use letters, digits and : - _ . \\ only")
		}
	}
	return nil
}

func plain(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == ':' || c == '_' || c == '.' || c == '-'
}

// escape is an id as part of a unit's name, as systemd-escape(1) writes it.
func escape(id string) string {
	const hex = "0123456789abcdef"
	var b []byte
	for i := range len(id) {
		if c := id[i]; plain(c) {
			b = append(b, c)
		} else {
			b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
		}
	}
	return string(b)
}
