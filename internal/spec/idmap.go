package spec

import (
	"errors"
	"strconv"
	"strings"
)

// IDMappings are the mappings of a mount's own: uidMappings and gidMappings, or
// what an option gives, "idmap=uids=0-1000-10#10-3000-5;gids=@0-0-10" (crun(1)):
// the first id, what it becomes, how many. After "@" the second is an id in the
// container's user namespace. None means those of that namespace.
func (m *Mount) IDMappings(container *Linux) (uids, gids []IDMapping, err error) {
	if len(m.UIDMappings)+len(m.GIDMappings) > 0 {
		return m.UIDMappings, m.GIDMappings, nil
	}
	for _, o := range m.Options {
		name, text, ok := strings.Cut(o, "=")
		if !ok || name != "idmap" && name != "ridmap" {
			continue
		}
		for part := range strings.SplitSeq(text, ";") {
			kind, list, _ := strings.Cut(part, "=")
			switch kind {
			case "uids":
				uids, err = parseIDMappings(list, container.UIDMappings)
			case "gids":
				gids, err = parseIDMappings(list, container.GIDMappings)
			case "":
			default:
				err = errors.New("is not uids= or gids=")
			}
			if err != nil {
				return nil, nil, errors.New(strconv.Quote(part) + " " + err.Error())
			}
		}
	}
	return uids, gids, nil
}

func parseIDMappings(text string, container []IDMapping) (list []IDMapping, err error) {
	for part := range strings.SplitSeq(text, "#") {
		triplet, relative := strings.CutPrefix(part, "@")
		numbers := strings.Split(triplet, "-")
		var n [3]uint32
		for i := range n {
			v, err := strconv.ParseUint(numbers[min(i, len(numbers)-1)], 10, 32)
			if err != nil || len(numbers) != len(n) {
				return nil, errors.New("is no mapping: write ID-ID-SIZE, more than one with # between them")
			}
			n[i] = uint32(v)
		}
		m := IDMapping{ContainerID: n[0], HostID: n[1], Size: n[2]}
		if relative {
			ok := false
			if m.HostID, ok = onHost(container, m.HostID); !ok {
				return nil, errors.New("is relative to an id that the container's user namespace does not have")
			}
		}
		list = append(list, m)
	}
	return list, nil
}

// onHost is what an id of a user namespace is outside of it.
func onHost(list []IDMapping, id uint32) (host uint32, ok bool) {
	for _, m := range list {
		if id >= m.ContainerID && id-m.ContainerID < m.Size {
			return id - m.ContainerID + m.HostID, true
		}
	}
	return 0, false
}
