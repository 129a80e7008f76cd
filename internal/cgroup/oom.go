package cgroup

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// OOMKills is how many processes of the cgroup the OOM killer has ended. It is
// 0 without the memory controller.
func (g *Group) OOMKills() (uint64, error) {
	i, file := g.find("memory"), "memory.oom_control"
	if g.V2 {
		file = "memory.events"
	}
	if i < 0 || i >= len(g.Dirs) {
		return 0, nil
	}
	f, err := g.Dirs[i].open()
	if err != nil {
		return 0, err
	}
	defer f.close()
	text, err := f.read(file)
	if errors.Is(err, unix.ENOENT) {
		return 0, nil
	}
	if err != nil {
		return 0, &Error{"read", f.path + "/" + file, err}
	}
	for line := range strings.SplitSeq(text, "\n") {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			return strconv.ParseUint(n, 10, 64)
		}
	}
	return 0, nil
}
