package container

import (
	"errors"
	"strconv"
	"strings"

	"ostia/internal/program"
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// startPasst starts passt(1) for a machine that is to have its network by it: in
// the container's network namespace, which hooks may have furnished until now,
// and in its cgroup.
func (c *creation) startPasst() error {
	if c.files == nil || c.files.passt < 0 {
		return nil
	}
	defer c.trace.phase("passt")
	if err := c.runPasst(); err != nil {
		return &spec.Error{Pointer: "annotations.krun.use_passt", Err: err}
	}
	// Each side is to see the end of the other: a run would hold both until its own.
	unix.Close(c.files.wire)
	unix.Close(c.files.passt)
	c.files.wire, c.files.passt = -1, -1
	return nil
}

func (c *creation) runPasst() error {
	exe, err := high(c.files.program)
	if err != nil {
		return err
	}
	defer unix.Close(exe)
	namespace, err := unix.Open("/proc/"+strconv.Itoa(c.stage.Pid)+"/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(namespace)
	groups, err := c.openGroups()
	defer func() {
		for _, fd := range groups {
			unix.Close(fd)
		}
	}()
	if err != nil {
		return err
	}
	timeout := passtSeconds
	p := program.Program{
		Path: "/proc/self/fd/" + strconv.Itoa(exe), Args: []string{machineProgram, "passt", strconv.Itoa(len(groups))},
		Files: append([]int{namespace, c.files.passt, c.files.setup}, groups...), Timeout: &timeout,
	}
	output, status, err := p.Run()
	switch {
	case err == program.ErrTimeout:
		return errPasstLate
	case err == nil && status != 0:
		said := lastWord(output)
		if strings.Contains(said, "port specifier") {
			said += " (annotation org.ostia.vm.passt_ports)"
		}
		return errors.New("passt(1): " + program.Ended(status, said))
	}
	return err
}

// passtSeconds is what passt may take to open all ports of its namespace.
const passtSeconds = 60

var errPasstLate = errors.New("passt(1) was not ready after " + strconv.Itoa(passtSeconds) + " s and was killed: name fewer ports (annotation org.ostia.vm.passt_ports)")

// openGroups opens the files that move a process into the container's cgroups.
func (c *creation) openGroups() (files []int, err error) {
	if c.group == nil {
		return nil, nil
	}
	g := c.group
	if c.scope != nil {
		g = processes(g, c.scope.unit)
	}
	dir, files, err := g.Open()
	if err != nil || dir < 0 {
		return files, err
	}
	defer unix.Close(dir)
	fd, err := unix.Openat(dir, "cgroup.procs", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		files = append(files, fd)
	}
	return files, err
}

// lastWord is the last line that passt says of its own: without a system logger
// it complains of that behind each.
func lastWord(output string) (last string) {
	for line := range strings.SplitSeq(output, "\n") {
		if line != "" && !strings.HasPrefix(line, "Failed to send ") {
			last = line
		}
	}
	return last
}
