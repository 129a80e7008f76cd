package plan

import (
	"ostia/internal/spec"
	"ostia/internal/stage"

	"golang.org/x/sys/unix"
)

// MountContext is the mount option that gives a new file system its label.
func MountContext(s *spec.Spec) string {
	if option := s.Extensions.MountContext; option != "" {
		return option
	}
	return "context"
}

// labelFile gives a mounted file system's root the label for mounts where no
// mount option does.
func (c *compiler) labelFile(mnt stage.Cell) {
	label := c.spec.Linux.MountLabel
	// By the working directory: a mount's descriptor takes no setxattr(2).
	c.Do("enter", unix.SYS_FCHDIR, mnt.Val())
	c.Do("label", unix.SYS_LSETXATTR, c.Str("."), c.Str("security.selinux"), c.Str(label), stage.Imm(len(label)), stage.Imm(0)).Ignore(unix.EOPNOTSUPP)
}

// labels asks the Linux security module for the label that the next execve
// shall give (apparmor(7), selinux(8)). A fork in between keeps it.
func (c *compiler) labels() {
	p := c.in.Process
	if p.ApparmorProfile != "" {
		change := "exec "
		if c.in.Host.Confined && p.NoNewPrivileges {
			// With no_new_privs a confined process cannot leave its profile, only
			// add another (apparmor(7), "Stacking").
			change = "stack "
		}
		c.About("process.apparmorProfile", -1, p.ApparmorProfile)
		c.writeAttr([]string{"/proc/self/attr/apparmor/exec", "/proc/self/attr/exec"}, change+p.ApparmorProfile)
	}
	if p.SelinuxLabel != "" {
		c.About("process.selinuxLabel", -1, p.SelinuxLabel)
		c.writeAttr([]string{"/proc/self/attr/exec"}, p.SelinuxLabel)
	}
}

// keyLabel gives the session keyring that comes next the process's label. The
// execve ends its effect.
func (c *compiler) keyLabel() {
	if label := c.in.Process.SelinuxLabel; label != "" && !c.in.NoNewKeyring {
		c.About("process.selinuxLabel", -1, label)
		c.writeAttr([]string{"/proc/self/attr/keycreate"}, label)
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
	c.Do("write the label", unix.SYS_WRITE, fd.Val(), c.Str(text), stage.Imm(len(text)))
	c.Do("close", unix.SYS_CLOSE, fd.Val())
}
