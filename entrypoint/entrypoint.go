// Package entrypoint says whether a program may be run as the first process of
// a container, or in one that runs, and if not, why: as exit status 126 or 127
// and as one line that container engines and people can read.
//
// [Judge] needs two things: a [Prober], which has the kernel say whether a path
// may be executed by the process in question, and a [Host], which knows what
// this kernel can run besides native programs. Modes, ACLs and capabilities are
// never emulated. The format of the file is: #! lines, ELF headers, program
// interpreters and binfmt_misc handlers are read as the kernel reads them.
//
// A failing [Verdict] is an error with its errno. [Verdict.Explain] looks at the
// container's tree for the reason: which directory may not be searched, where a
// symbolic link dangles, which mount is noexec.
//
// A runtime asks the container's own first process. An engine or an image
// builder that has a root file system but no process in it uses [Open], whose
// prober takes on the identity on a thread of its own.
package entrypoint

import (
	"strings"
	"syscall"
)

// A Prober answers questions about files as the process that would execute
// them: in its root, working directory and identity.
type Prober interface {
	// Probe looks at the file that path leads to. path is never empty; a
	// relative one begins at the process's working directory.
	Probe(path string) Probe
}

// Probe is what is known of one file.
type Probe struct {
	// Errno is the kernel's answer to execveat(2) with AT_EXECVE_CHECK, 0 if the
	// file may be executed. The kernel does not look at the file's format for it.
	Errno syscall.Errno
	// Head is the beginning of a file that may be executed, HeadSize bytes or
	// the whole file if it is shorter; nil if it may not be read. It need only
	// be good until the next Probe.
	Head []byte
	// Size is the file's length in bytes, 0 if unknown.
	Size int64
}

// HeadSize is how much of a file a [Probe] carries.
const HeadSize = 4096

// A RangeReader is a [Prober] that can also read a file further on, which is
// needed for an ELF file that keeps the name of its program interpreter beyond
// the head. The answer is short, or nil, if the file cannot be read there.
type RangeReader interface {
	ReadRange(path string, offset int64, length int) []byte
}

// Judge says what executing args[0] would come to, with args and env as in
// execve(2). The search for a name without a slash is that of [Candidates];
// p is asked about each of its paths in order until one decides.
func Judge(p Prober, h *Host, args, env []string) *Verdict {
	if len(args) == 0 {
		return &Verdict{Status: NotFound, Errno: syscall.ENOENT, searched: true}
	}
	j := judge{p: p, h: h, v: &Verdict{Name: args[0], searched: strings.IndexByte(args[0], '/') < 0}}
	path, probe, ok := j.search(Candidates(args[0], env))
	if ok {
		j.v.Path, j.v.Culprit = path, path
		j.file(path, probe)
	}
	return j.v
}

// judge is a judgement under way.
type judge struct {
	p Prober
	h *Host
	v *Verdict
}

// search walks the candidates as execvp(3) does: past what is missing or not
// permitted, up to the first that can be executed or fails in another way.
func (j *judge) search(candidates []string) (string, Probe, bool) {
	denied := ""
	for _, path := range candidates {
		probe := j.p.Probe(path)
		switch probe.Errno {
		case 0:
			return path, probe, true
		case syscall.EACCES:
			if denied == "" {
				denied = path
			}
		case syscall.ENOENT, syscall.ENOTDIR, syscall.ESTALE, syscall.ENODEV, syscall.ETIMEDOUT:
			if j.v.searched {
				continue
			}
			fallthrough
		default:
			j.v.fail(probe.Errno, path, "")
			j.v.Path = path
			return "", Probe{}, false
		}
	}
	if denied != "" {
		j.v.fail(syscall.EACCES, denied, "")
		j.v.Path = denied
	} else {
		j.v.fail(syscall.ENOENT, "", "")
	}
	return "", Probe{}, false
}

// Candidates are the paths at which execvp(3) looks for name, in order: name
// itself if it has a slash, else one path for each element of the last PATH in
// env. An empty element is the working directory. An unset or empty PATH gives
// none: there is no default, and no "." of our own.
func Candidates(name string, env []string) []string {
	if strings.IndexByte(name, '/') >= 0 {
		return []string{name}
	}
	path, _ := searchPath(env)
	if name == "" || path == "" {
		return nil
	}
	paths := make([]string, 0, 8)
	for more := true; more; {
		var dir string
		dir, path, more = strings.Cut(path, ":")
		switch {
		case dir == "":
			paths = append(paths, "./"+name)
		case dir[len(dir)-1] == '/':
			paths = append(paths, dir+name)
		default:
			paths = append(paths, dir+"/"+name)
		}
	}
	return paths
}

// searchPath is the value of the last PATH in env.
func searchPath(env []string) (path string, set bool) {
	for i := len(env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(env[i], "PATH="); ok {
			return v, true
		}
	}
	return "", false
}
