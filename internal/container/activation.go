package container

import (
	"strconv"
	"strings"
)

// activate tells the process of the sockets that systemd has activated for it.
// LISTEN_PID is 1, as with runc and crun: the number that the process has in a
// pid namespace of its own.
func (c *creation) activate() {
	if c.o.ListenFDs == 0 {
		return
	}
	c.setEnv("LISTEN_FDS", strconv.Itoa(c.o.ListenFDs))
	if c.o.ListenNames != "" {
		c.setEnv("LISTEN_FDNAMES", c.o.ListenNames)
	}
	for _, e := range c.spec.Process.Env {
		if strings.HasPrefix(e, "LISTEN_PID=") {
			return // the configuration knows better
		}
	}
	c.setEnv("LISTEN_PID", "1")
}

// setEnv sets a variable of the process, whatever the configuration says.
func (c *creation) setEnv(name, value string) {
	p := c.spec.Process
	env := make([]string, 0, len(p.Env)+1)
	for _, e := range p.Env {
		if !strings.HasPrefix(e, name+"=") {
			env = append(env, e)
		}
	}
	p.Env = append(env, name+"="+value)
}
