package container

import (
	"ostia/internal/linux"
	"ostia/internal/plan"

	"golang.org/x/sys/unix"
)

// Plan returns the text of the plan that create would run for a bundle. It
// makes nothing and needs no privilege: descriptors have the numbers that they
// would have on a host with cgroup v2.
func (r *Runtime) Plan(o CreateOptions) (string, error) {
	c := &creation{r: r, o: &o, wait: true}
	if err := c.readBundle(); err != nil {
		return "", err
	}
	filter, err := compileSeccomp(c.spec)
	if err != nil {
		return "", err
	}
	fds := plan.NoFDs(3 + o.ListenFDs + o.PreserveFDs)
	next := fds.First
	for _, fd := range []*int{&fds.Sync, &fds.Start, &fds.Console, &fds.HookState, &fds.HookStdout, &fds.HookStderr} {
		*fd = next
		next++
	}
	in := &plan.Input{
		Spec: c.spec, Process: c.spec.Process, ID: o.ID, Rootfs: c.rootfs, Seccomp: filter,
		Host: plan.Host{ExecveCheck: true, Landlock: newestLandlock, Cgroups: []plan.Hierarchy{{V2: true, Dir: "/sys/fs/cgroup/" + o.ID}}},
		Wait: true, Ask: true, NoPivot: o.NoPivot, NoNewKeyring: o.NoNewKeyring, Cloned: plan.BornWith(c.spec),
	}
	fds.Kept = next - 1
	for i := range c.spec.Linux.Namespaces {
		n := &c.spec.Linux.Namespaces[i]
		in.Host.UserNS = in.Host.UserNS || n.Flag == unix.CLONE_NEWUSER
		if n.Path != "" {
			fds.Join = append(fds.Join, plan.Join{FD: next, Flag: n.Flag, Index: i})
			next++
		}
	}
	in.FDs = fds
	p, err := plan.Compile(in)
	if err != nil {
		return "", err
	}
	return p.Text(linux.SyscallName), nil
}
