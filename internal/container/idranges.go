package container

import (
	"errors"
	"strconv"

	"ostia/internal/host"
	"ostia/internal/program"
	"ostia/internal/spec"
)

// mayMap says why an ordinary user may not have these mappings, as newuidmap(1)
// would.
func mayMap(mappings []spec.IDMapping, own int, uid int, tool, path string) error {
	if len(mappings) == 0 || ownMapping(mappings, own) {
		return nil
	}
	if _, err := program.Find(tool); err != nil {
		return errors.New(tool + " is not installed: it is needed to map more than one's own id (Debian: apt install uidmap)")
	}
	allowed := append(host.SubordinateIDs(path, uid, UserName(uid)), host.IDRange{First: uint32(own), Size: 1})
	for _, m := range mappings {
		if !within(allowed, m.HostID, m.Size) {
			return errors.New("the ids " + idRangeText(m.HostID, m.Size) + " are not this user's: " + path + " gives them to nobody, or to another")
		}
	}
	return nil
}

func within(allowed []host.IDRange, first, size uint32) bool {
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
