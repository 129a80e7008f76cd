package container

import (
	"strconv"
	"strings"

	"ostia/internal/file"
	"ostia/internal/linux"
	"ostia/internal/plan"
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// environment is env with the last value of each name, and without an empty
// HOME. home says whether it has one.
func environment(env []string) (list []string, home bool) {
	seen := make(map[string]bool, len(env))
	list = make([]string, 0, len(env)+1)
	for i := len(env) - 1; i >= 0; i-- {
		name, value, _ := strings.Cut(env[i], "=")
		if seen[name] {
			continue
		}
		seen[name] = true
		if name == "HOME" {
			if value == "" {
				continue
			}
			home = true
		}
		list = append(list, env[i])
	}
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
	return list, home
}

// setEnvironment completes the environment of a container's process. Where the
// bundle's root is not yet what the process will find in /etc/passwd, the stage
// must ask for HOME once it is.
func (c *creation) setEnvironment(in *plan.Input) {
	p := c.spec.Process
	env, home := environment(p.Env)
	if !home {
		if changesPasswd(c.spec) {
			in.AskHome = true
		} else {
			env = append(env, homeOf(c.rootfs, p.User.UID))
		}
	}
	p.Env = env
}

// changesPasswd reports whether mounts or hooks may give the container another
// /etc/passwd than its image has.
func changesPasswd(s *spec.Spec) bool {
	for i := range s.Mounts {
		dest := s.Mounts[i].Destination
		if strings.Contains(dest, "etc") && (plan.SamePath(dest, "/etc") || plan.SamePath(dest, "/etc/passwd")) {
			return true
		}
	}
	return len(s.Hooks.Prestart)+len(s.Hooks.CreateRuntime)+len(s.Hooks.CreateContainer) > 0
}

// homeOf is HOME=FOLDER for a user by the /etc/passwd of a container, whose
// root has this path. A user that is not there has the folder /.
func homeOf(root string, uid uint32) string {
	const none = "HOME=/"
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return none
	}
	defer unix.Close(dir)
	fd, err := linux.Openat2(dir, "etc/passwd", &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return none
	}
	defer unix.Close(fd)
	const most = 4 << 20 // of a hostile image
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > most {
		return none
	}
	text, err := file.ReadAll(fd)
	if err != nil {
		return none
	}
	if dir := homeIn(text, uid); dir != "" {
		return "HOME=" + dir
	}
	return none
}

// homeIn is the folder of a user by a passwd(5), "" for none.
func homeIn(passwd string, uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	for line := range strings.SplitSeq(passwd, "\n") {
		if f := strings.Split(line, ":"); len(f) >= 6 && f[2] == id && strings.IndexByte(f[5], 0) < 0 && len(f[5]) < plan.HomeSize-len("HOME=") {
			return f[5]
		}
	}
	return ""
}
