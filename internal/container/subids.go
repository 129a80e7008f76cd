package container

import (
	"errors"
	"strconv"
	"strings"

	"ostia/internal/file"
	"ostia/internal/program"
	"ostia/internal/spec"
)

// IDRange is a range of ids of the host.
type IDRange struct{ First, Size uint32 }

// SubordinateIDs returns what a file like /etc/subuid gives a user, by number
// or name (subuid(5)). No such file gives nothing.
func SubordinateIDs(path string, uid int) (list []IDRange) {
	text, err := file.Read(path)
	if err != nil {
		return nil
	}
	name := userName(uid)
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

// mayMap says why an ordinary user may not have these mappings, as newuidmap(1)
// would.
func mayMap(mappings []spec.IDMapping, own int, uid int, tool, path string) error {
	if len(mappings) == 0 || ownMapping(mappings, own) {
		return nil
	}
	if _, err := program.Find(tool); err != nil {
		return errors.New(tool + " is not installed: it is needed to map more than one's own id (Debian: apt install uidmap)")
	}
	allowed := append(SubordinateIDs(path, uid), IDRange{uint32(own), 1})
	for _, m := range mappings {
		if !within(allowed, m.HostID, m.Size) {
			return errors.New("the ids " + idRangeText(m.HostID, m.Size) + " are not this user's: " + path + " gives them to nobody, or to another")
		}
	}
	return nil
}

func within(allowed []IDRange, first, size uint32) bool {
	for _, r := range allowed {
		if first >= r.First && uint64(first)+uint64(size) <= uint64(r.First)+uint64(r.Size) {
			return true
		}
	}
	return false
}

func idRangeText(first, size uint32) string {
	return strconv.FormatUint(uint64(first), 10) + " to " + strconv.FormatUint(uint64(first)+uint64(size)-1, 10)
}
