package spec

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// sysctl allows what belongs to a namespace of the container's own,
// and nothing that is the host's.
func (p *problems) sysctl(s *Spec) {
	for _, kv := range s.Linux.Sysctl {
		pointer := "linux.sysctl." + kv.Key
		need := SysctlNamespace(kv.Key)
		has, _ := s.has(need)
		switch {
		case strings.Contains(kv.Key, "..") || strings.HasPrefix(kv.Key, "/") || strings.IndexByte(kv.Key, 0) >= 0:
			p.refuse(pointer, "is not the name of a sysctl")
		case sysctlKey(kv.Key) == "kernel.hostname":
			p.refuse(pointer, "use the field hostname")
		case need == 0:
			p.refuse(pointer, "is not separate for each container: set it on the host")
		case !has:
			p.refuse(pointer, "would change the host: it needs a "+namespaceName(need)+" namespace of the container's own")
		case need == unix.CLONE_NEWUTS && s.Domainname != "" && kv.Value != s.Domainname:
			p.refuse(pointer, strconv.Quote(kv.Value)+" is not the domainname "+strconv.Quote(s.Domainname)+": leave one of them out")
		}
	}
}

// sysctlKey is a sysctl's name with dots, as sysctl(8) takes both forms.
func sysctlKey(name string) string {
	if i := strings.IndexAny(name, "./"); i >= 0 && name[i] == '/' {
		return strings.ReplaceAll(name, "/", ".")
	}
	return name
}

// SysctlNamespace is the kind of namespace (CLONE_NEW*) that a sysctl belongs
// to, 0 for none.
func SysctlNamespace(name string) uint64 {
	switch key := sysctlKey(name); {
	case isIPCSysctl(key):
		return unix.CLONE_NEWIPC
	case strings.HasPrefix(key, "net."):
		return unix.CLONE_NEWNET
	case key == "kernel.domainname":
		return unix.CLONE_NEWUTS
	case strings.HasPrefix(key, "user."):
		return unix.CLONE_NEWUSER
	}
	return 0
}

func isIPCSysctl(key string) bool {
	switch key {
	case "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced":
		return true
	}
	return strings.HasPrefix(key, "fs.mqueue.")
}
