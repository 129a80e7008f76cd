package plan

import (
	"ostia/internal/stage"

	"golang.org/x/sys/unix"
)

// mountContext is the mount option that gives a new file system its label.
func (c *compiler) mountContext() string {
	if option := c.spec.Extensions.MountContext; option != "" {
		return option
	}
	return "context"
}

// labels asks the Linux security module for the label that the next execve
// shall give (apparmor(7), selinux(8)).
func (c *compiler) labels() {
	p := c.in.Process
	if p.ApparmorProfile != "" {
		c.About("process.apparmorProfile", -1, p.ApparmorProfile)
		c.writeAttr([]string{"/proc/self/attr/apparmor/exec", "/proc/self/attr/exec"}, "exec "+p.ApparmorProfile)
	}
	if p.SelinuxLabel != "" {
		c.About("process.selinuxLabel", -1, p.SelinuxLabel)
		c.writeAttr([]string{"/proc/self/attr/exec"}, p.SelinuxLabel)
	}
}

func (c *compiler) writeAttr(paths []string, text string) {
	fd, opened := c.Cell(), c.NewLabel()
	for i, path := range paths {
		next := c.NewLabel()
		o := c.Do("open "+path, unix.SYS_OPENAT, stage.Imm(unix.AT_FDCWD), c.Str(path), stage.Imm(unix.O_WRONLY|unix.O_CLOEXEC)).To(fd)
		if i < len(paths)-1 {
			o.Else(next)
			c.Goto(opened)
		}
		c.Place(next)
	}
	c.Place(opened)
	c.Do("set the label for execve", unix.SYS_WRITE, fd.Val(), c.Str(text), stage.Imm(len(text)))
	c.Do("close", unix.SYS_CLOSE, fd.Val())
}
