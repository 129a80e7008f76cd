package spec

import (
	"strconv"
	"strings"
)

// LandlockRule is one path that the process may still reach under Landlock.
type LandlockRule struct {
	Annotation string // that asks for it
	Access     LandlockAccess
	Path       string // absolute, in the container
}

// LandlockAccess is what a process may do with a path and all below it.
type LandlockAccess int

// The kinds of access, each of which includes reading.
const (
	LandlockRead LandlockAccess = iota
	LandlockWrite
	LandlockExecute
)

// landlock reads a list of paths, separated by colons like PATH.
func (s *Spec) landlock(name string, access LandlockAccess, list string) (p problems) {
	pointer := "annotations." + name
	if s.Process != nil && !s.Process.NoNewPrivileges {
		// Or a set-uid program would run with rights under rules that it does not know.
		p.refuse(pointer, "needs process.noNewPrivileges: set it")
	}
	for path := range strings.SplitSeq(list, ":") {
		if path == "" || path[0] != '/' || strings.IndexByte(path, 0) >= 0 {
			p.refuse(pointer, strconv.Quote(path)+" is not an absolute path: list paths of the container, separated by colons")
			continue
		}
		s.Extensions.Landlock = append(s.Extensions.Landlock, LandlockRule{name, access, path})
	}
	return p
}
