package container

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"

	"ostia/internal/cgroup"
	"ostia/internal/file"
	"ostia/internal/program"

	"golang.org/x/sys/unix"
)

// Criu has a CRIU process do what q says, over the socket that it was started
// with ("criu swrk"), and tells of what happens meanwhile. What notify refuses,
// CRIU breaks off. internal/criu is the implementation: it speaks protobuf,
// which only ostia-criu links.
type Criu func(sock int, q *CriuRequest, notify func(*CriuEvent) error) (CriuAnswer, error)

// CriuCall is what CRIU is to do.
type CriuCall int

// The calls.
const (
	CriuVersion CriuCall = iota
	CriuFeatures
	CriuDump
	CriuPreDump
	CriuRestore
)

// CriuRequest is a call with its options. Descriptors are this process's; -1 is
// none.
type CriuRequest struct {
	Call           CriuCall
	Images, Work   int    // folders
	Log            string // file in Work, else in Images
	Config         string // CRIU's configuration file, whose settings come over these
	Root           string
	Pid            int
	ParentImages   string // relative to Images
	FreezeCgroup   string
	CgroupMode     string // "", soft, full, strict or ignore
	NetworkLock    string // "", iptables, nftables or skip
	EmptyNS        uint32 // CLONE_NEW*
	PageServer     string // address
	PageServerPort int
	StatusFD       int
	LSMProfile     string
	LSMContext     string // of mounts
	External       []string
	Mounts         []CriuMount
	Inherit        []CriuInherit
	Join           []CriuJoin
	CgroupRoots    []CriuCgroup

	LeaveRunning, TCPEstablished, TCPSkipInFlight, TCPClose, ExtUnixSk, ShellJob, FileLocks, LinkRemap, AutoDedup, LazyPages, TrackMemory bool
}

// CriuMount is an external mount. Of a dump: its mount point and a name. Of a
// restore: the name and what to mount.
type CriuMount struct{ Key, Value string }

// CriuInherit is a descriptor of CRIU's process that takes the place of
// something that was outside of the container.
type CriuInherit struct {
	Key string
	FD  int
}

// CriuJoin is a namespace to restore into.
type CriuJoin struct{ Kind, Path string }

// CriuCgroup is the cgroup, from a hierarchy's root, that takes the place of
// the dumped one.
type CriuCgroup struct{ Controllers, Path string }

// CriuEvent is a notification: the name of a script, as CRIU calls it.
type CriuEvent struct {
	Script string
	Pid    int // of the first process, for setup-namespaces and post-restore
	FD     int // the terminal's master, for orphan-pts-master; else -1. The receiver closes it
}

// CriuAnswer is what CRIU says at the end.
type CriuAnswer struct {
	Version             int // of CriuVersion: 31701 is 3.17.1
	MemTrack, LazyPages bool
	Pid                 int
}

// criuRun is the CRIU of this host.
type criuRun struct {
	perform Criu
	path    string // of the program
	version int
	log     string // what it writes to, for errors
}

// oldestCriu is the first that has all that is asked for here: it freezes by
// cgroup v2 and joins pid namespaces.
const oldestCriu = 31500

// newCriuRun finds CRIU and asks for its version.
func newCriuRun(perform Criu) (*criuRun, error) {
	c := &criuRun{perform: perform}
	if os.Geteuid() != 0 {
		return nil, failed("criu", "", errCriuRoot)
	}
	var err error
	if c.path, err = program.Find("criu"); err != nil {
		return nil, failed("criu", "", errNoCriu)
	}
	answer, err := c.do(&CriuRequest{Call: CriuVersion}, nil)
	if err != nil {
		return nil, err
	}
	c.version = answer.Version
	return c, c.needs(oldestCriu, "CRIU")
}

// needs refuses what this version does not have.
func (c *criuRun) needs(version int, what string) error {
	if c.version < version {
		return failed("criu", "", errors.New("version "+versionText(c.version)+" is too old for "+what+": it needs "+versionText(version)))
	}
	return nil
}

func versionText(v int) string {
	s := strconv.Itoa(v/10000) + "." + strconv.Itoa(v/100%100)
	if v%100 != 0 {
		s += "." + strconv.Itoa(v%100)
	}
	return s
}

// require refuses what this kernel cannot do.
func (c *criuRun) require(flag string, has func(*CriuAnswer) bool) error {
	answer, err := c.do(&CriuRequest{Call: CriuFeatures}, nil)
	if err == nil && !has(&answer) {
		err = failed(flag, "", errCriuFeature)
	}
	return err
}

// do has CRIU do one thing and waits for its end.
func (c *criuRun) do(q *CriuRequest, notify func(*CriuEvent) error) (CriuAnswer, error) {
	p, err := c.start(q, nil)
	if err != nil {
		return CriuAnswer{}, err
	}
	return p.finish(q, notify)
}

// criuProcess is a CRIU that waits for what it is to do.
type criuProcess struct {
	run       *criuRun
	pid, sock int
}

// firstCriuFD is the number of the first descriptor that CRIU gets, behind its
// stdio and the socket.
const firstCriuFD = 4

// start starts CRIU with these descriptors.
func (c *criuRun) start(q *CriuRequest, fds []int) (*criuProcess, error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, failed("socketpair", "", err)
	}
	list := []uintptr{0, 1, 2, uintptr(p[1])}
	for _, fd := range fds {
		list = append(list, uintptr(fd))
	}
	pid, err := syscall.ForkExec(c.path, []string{"criu", "swrk", "3"}, &syscall.ProcAttr{Env: os.Environ(), Files: list})
	unix.Close(p[1])
	if err != nil {
		unix.Close(p[0])
		return nil, failed("start", c.path, err)
	}
	return &criuProcess{c, pid, p[0]}, nil
}

// finish has CRIU do it. It mounts cgroup v2 for itself, with other options than
// the host's (CRIU's issue 3029).
func (p *criuProcess) finish(q *CriuRequest, notify func(*CriuEvent) error) (CriuAnswer, error) {
	options, err := cgroup.KeepMountOptions()
	if err != nil {
		p.end()
		return CriuAnswer{}, err
	}
	answer, err := p.run.perform(p.sock, q, notify)
	p.end()
	if e := options.Restore(); err == nil {
		err = e
	}
	var reason *CriuError
	if errors.As(err, &reason) && q.Log != "" {
		err = p.run.explain(err)
	}
	return answer, err
}

// end ends CRIU, if it has not by itself: without its socket it undoes what it
// has done so far.
func (p *criuProcess) end() {
	unix.Close(p.sock)
	for {
		if _, err := unix.Wait4(p.pid, nil, 0, nil); err != unix.EINTR {
			return
		}
	}
}

// CriuError is what CRIU says of its failure.
type CriuError struct{ Reason string }

func (e *CriuError) Error() string { return e.Reason }

// explain adds the last thing that went wrong by CRIU's log.
func (c *criuRun) explain(err error) error {
	text, e := file.Read(c.log)
	if e != nil {
		return err
	}
	if last := lastErrors(text); last != "" {
		err = errors.New(last)
	}
	return failed("criu", "", &advised{err, "see " + c.log})
}

// lastErrors are the last two errors of a log of CRIU's that say something:
//
//	(01.336316)      1: Error (criu/files-reg.c:2093): File fd/1 has bad size 6 (expect 183)
func lastErrors(log string) string {
	var last []string
	for line := range strings.SplitSeq(log, "\n") {
		_, said, found := strings.Cut(line, "Error (")
		place, text, _ := strings.Cut(said, "): ")
		// That a helper failed, and that all has failed, is known; that there are no
		// tun devices is found out before each dump, and no reason for its end.
		if !found || strings.HasPrefix(place, "criu/util.c") || strings.HasSuffix(text, "FAILED.") || text == "" ||
			strings.HasPrefix(text, "tun: Unable to create tun") {
			continue
		}
		if last = append(last, program.OneLine(text)); len(last) > 2 {
			last = last[1:]
		}
	}
	return strings.Join(last, "; ")
}

var (
	errNoCriu      = errors.New("not installed: apt install criu")
	errCriuRoot    = errors.New("needs root")
	errCriuFeature = errors.New("this kernel, or this version of CRIU, cannot do that")
)
