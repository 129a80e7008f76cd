package cgroup

import (
	"encoding/binary"
	"errors"
	"strconv"
	"strings"

	"ostia/internal/file"

	"golang.org/x/sys/unix"
)

// OOMKills is how many processes of the cgroup the OOM killer has ended. It is
// 0 without the memory controller.
func (g *Group) OOMKills() (uint64, error) {
	f, file, err := g.openOOM()
	if err != nil || f.fd < 0 {
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
	return oomKills(text), nil
}

// openOOM opens the directory of the memory controller, if there is one, and
// names the file that counts.
func (g *Group) openOOM() (f folder, file string, err error) {
	i, file := g.find("memory"), "memory.oom_control"
	if g.V2 {
		file = "memory.events"
	}
	if i < 0 {
		return folder{fd: -1}, file, nil
	}
	f, err = g.Dirs[i].open()
	return f, file, err
}

func oomKills(text string) uint64 {
	for line := range strings.SplitSeq(text, "\n") {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			kills, _ := strconv.ParseUint(n, 10, 64)
			return kills
		}
	}
	return 0
}

// OOMWatch tells when a cgroup runs out of memory.
type OOMWatch struct {
	file  int    // of the counter; -1 without the memory controller
	event int    // eventfd of version 1, else -1
	kills uint64 // counted so far, version 2
}

// WatchOOM begins to watch. The caller closes the watch.
func (g *Group) WatchOOM() (*OOMWatch, error) {
	w := &OOMWatch{file: -1, event: -1}
	f, name, err := g.openOOM()
	if err != nil || f.fd < 0 {
		return w, err
	}
	defer f.close()
	w.file, err = f.openFile(name, unix.O_RDONLY)
	if err == unix.ENOENT {
		return w, nil
	}
	if err == nil && !g.V2 {
		// cgroup-v1/memory.rst, "OOM Control": the event says that the limit was
		// hit, also when the killer is disabled.
		if w.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err == nil {
			err = f.write("cgroup.event_control", strconv.Itoa(w.event)+" "+strconv.Itoa(w.file))
		}
	} else if err == nil {
		_, _, err = w.Read()
	}
	if err != nil {
		w.Close()
		return nil, &Error{"watch", f.path + "/" + name, err}
	}
	return w, nil
}

// Close ends the watch.
func (w *OOMWatch) Close() {
	unix.Close(w.file)
	unix.Close(w.event)
}

// Poll is what to give poll(2) to wait until Read has something new.
func (w *OOMWatch) Poll() unix.PollFd {
	if w.event >= 0 {
		return unix.PollFd{Fd: int32(w.event), Events: unix.POLLIN}
	}
	return unix.PollFd{Fd: int32(w.file), Events: unix.POLLPRI}
}

// Read returns how often the cgroup ran out of memory since the last Read, and
// whether the cgroup is gone.
func (w *OOMWatch) Read() (times uint64, gone bool, err error) {
	if w.file < 0 {
		return 0, false, nil
	}
	var text string
	if _, err = unix.Seek(w.file, 0, unix.SEEK_SET); err == nil {
		text, err = file.ReadAll(w.file)
	}
	if gone = err == unix.ENODEV; err != nil && !gone {
		return 0, false, err
	}
	if w.event < 0 {
		if !gone {
			times, w.kills = oomKills(text)-w.kills, oomKills(text)
		}
		return times, gone, nil
	}
	var n [8]byte
	if _, err := unix.Read(w.event, n[:]); err != nil {
		return 0, gone, nil // EAGAIN: nothing has happened
	}
	times = binary.NativeEndian.Uint64(n[:])
	if gone {
		times-- // the removal of the cgroup is an event too
	}
	return times, gone, nil
}
