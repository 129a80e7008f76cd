package container

import (
	"errors"
	"strconv"
	"syscall"

	"ostia/internal/file"
	"ostia/internal/json"
	"ostia/internal/plan"
	"ostia/internal/resctrl"
	"ostia/internal/spec"
	"ostia/internal/state"

	"golang.org/x/sys/unix"
)

// createResctrl makes the container's resource control group.
func (c *creation) createResctrl() error {
	r := c.spec.Linux.IntelRdt
	if r == nil {
		return nil
	}
	g, err := resctrl.New(r, c.o.ID)
	if err == nil {
		err = g.Create()
	}
	if err == nil {
		c.resctrl = g
	}
	return err
}

func (c *creation) openResctrl(f *files, in *plan.Input, _ *syscall.SysProcAttr) error {
	return openResctrl(c.spec, c.o.ID, f, in)
}

// openResctrl has the stage enter the group.
func openResctrl(s *spec.Spec, id string, f *files, in *plan.Input) error {
	if s.Linux.IntelRdt == nil {
		return nil
	}
	g, err := resctrl.New(s.Linux.IntelRdt, id)
	if err != nil {
		return err
	}
	tasks, err := g.Open()
	for _, fd := range tasks {
		in.FDs.Resctrl = append(in.FDs.Resctrl, f.add(fd))
	}
	return err
}

// takeResctrl moves a process into the group.
func (c *creation) takeResctrl(pid int) error {
	tasks, err := c.resctrl.Open()
	for _, fd := range tasks {
		if err == nil {
			err = failed("linux.intelRdt", "", file.WriteAll(fd, strconv.Itoa(pid)))
		}
		unix.Close(fd)
	}
	return err
}

// resctrlOf is the group of a container that exists, nil for none.
func resctrlOf(s *state.State) (*resctrl.Group, error) {
	if !s.Resctrl {
		return nil, nil
	}
	config, err := config(s)
	if err != nil {
		return nil, err
	}
	return resctrl.New(config.Linux.IntelRdt, s.ID)
}

func removeResctrl(s *state.State) error {
	g, err := resctrlOf(s)
	if errors.Is(err, resctrl.ErrNotMounted) {
		return nil // and so is what was in it
	}
	if err != nil || g == nil {
		return err
	}
	return g.Remove()
}

var errNoIntelRdt = errors.New("the container was made without linux.intelRdt: it is in no group whose schemata could change")

// updateResctrl writes the schemata of an update and returns the configuration
// with them.
func updateResctrl(s *state.State, config string, u *Update) (string, error) {
	if u.L3CacheSchema == "" && u.MemBwSchema == "" {
		return config, nil
	}
	g, err := resctrlOf(s)
	if err != nil {
		return "", err
	}
	if g == nil {
		return "", errNoIntelRdt
	}
	e := json.NewEncoder("")
	e.Object(func() {
		e.Key("linux").Object(func() {
			e.Key("intelRdt").Object(func() {
				for _, l := range [...]struct{ name, line string }{{"l3CacheSchema", u.L3CacheSchema}, {"memBwSchema", u.MemBwSchema}} {
					if l.line != "" && err == nil {
						err = g.Update([]string{l.line})
						e.Key(l.name).String(l.line)
					}
				}
			})
		})
	})
	if err != nil {
		return "", err
	}
	return spec.Merge(config, string(e.Bytes()))
}
