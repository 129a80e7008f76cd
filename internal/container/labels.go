package container

import (
	"errors"
	"strings"

	"ostia/internal/file"
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

var (
	errNoAppArmor = errors.New("this host has no AppArmor: leave the profile out, or enable it (kernel parameter apparmor=1)")
	errNoSELinux  = errors.New("this host has no SELinux: leave the label out, or enable it")
)

// checkLabels refuses labels that nothing here would make good on.
func checkLabels(p *spec.Process, mountLabel string) error {
	switch {
	case p.ApparmorProfile == unconfined && !hasAppArmor():
		p.ApparmorProfile = "" // as it is
	case p.ApparmorProfile != "" && !hasAppArmor():
		return &spec.Error{Pointer: "process.apparmorProfile", Err: errNoAppArmor}
	case p.SelinuxLabel != "" && !hasSELinux():
		return &spec.Error{Pointer: "process.selinuxLabel", Err: errNoSELinux}
	case mountLabel != "" && !hasSELinux():
		return &spec.Error{Pointer: "linux.mountLabel", Err: errNoSELinux}
	}
	return nil
}

// unconfined is the profile that is none.
const unconfined = "unconfined"

func hasAppArmor() bool {
	enabled, err := file.Read("/sys/module/apparmor/parameters/enabled")
	return err == nil && strings.HasPrefix(enabled, "Y")
}

// hasSELinux: the kernel registers the file system when it enables it.
func hasSELinux() bool {
	list, err := file.Read("/proc/filesystems")
	return err == nil && strings.Contains(list, "\tselinuxfs\n") && unix.Access("/sys/fs/selinux/enforce", unix.F_OK) == nil
}

// confined reports whether AppArmor confines this process, if the one to come
// is to have a profile.
func confined(p *spec.Process) bool {
	if p.ApparmorProfile == "" || !p.NoNewPrivileges {
		return false
	}
	for _, path := range [...]string{"/proc/thread-self/attr/apparmor/current", "/proc/thread-self/attr/current"} {
		if current, err := file.Read(path); err == nil {
			name, _, _ := strings.Cut(strings.TrimSpace(current), " ")
			return name != unconfined
		}
	}
	return false
}
