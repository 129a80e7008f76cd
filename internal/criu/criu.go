// Package criu speaks the protocol of CRIU's service mode: one request, the
// notifications that come meanwhile, and the answer. It starts nothing and
// knows nothing of containers.
package criu

import (
	"errors"
	"strconv"

	"ostia/internal/container"

	"github.com/checkpoint-restore/go-criu/v8/rpc"
	"golang.org/x/sys/unix"
)

// maxMessage is the size of the longest message that is taken; CRIU's own are
// below 1 KiB.
const maxMessage = 64 << 10

// Perform is a container.Criu.
func Perform(sock int, q *container.CriuRequest, notify func(*container.CriuEvent) error) (container.CriuAnswer, error) {
	if err := send(sock, request(q)); err != nil {
		return container.CriuAnswer{}, err
	}
	for {
		r, fd, err := receive(sock)
		if err != nil {
			return container.CriuAnswer{}, err
		}
		if r.GetType() != rpc.CriuReqType_NOTIFY || !r.GetSuccess() {
			closeIf(fd)
			return answer(r)
		}
		event := &container.CriuEvent{Script: r.GetNotify().GetScript(), Pid: int(r.GetNotify().GetPid()), FD: fd}
		refused := notify(event)
		if err := send(sock, &rpc.CriuReq{Type: new(rpc.CriuReqType_NOTIFY), NotifySuccess: new(refused == nil)}); err != nil && refused == nil {
			return container.CriuAnswer{}, err
		}
		if refused != nil {
			// It undoes what it did before it ends.
			for {
				if _, fd, err = receive(sock); err != nil {
					return container.CriuAnswer{}, refused
				}
				closeIf(fd)
			}
		}
	}
}

// answer is CRIU's last word.
func answer(r *rpc.CriuResp) (container.CriuAnswer, error) {
	var a container.CriuAnswer
	if !r.GetSuccess() {
		text := "CRIU has failed"
		if said := r.GetCrErrmsg(); said != "" {
			text += ": " + said
		}
		if n := r.GetCrErrno(); n != 0 {
			text += ": " + unix.Errno(n).Error()
		}
		return a, &container.CriuError{Reason: text}
	}
	if v := r.GetVersion(); v != nil {
		a.Version = int(v.GetMajorNumber()*10000 + v.GetMinorNumber()*100 + v.GetSublevel())
	}
	a.MemTrack, a.LazyPages = r.GetFeatures().GetMemTrack(), r.GetFeatures().GetLazyPages()
	a.Pid = int(r.GetRestore().GetPid())
	return a, nil
}

// request is q as CRIU takes it.
func request(q *container.CriuRequest) *rpc.CriuReq {
	switch q.Call {
	case container.CriuVersion:
		return &rpc.CriuReq{Type: new(rpc.CriuReqType_VERSION)}
	case container.CriuFeatures:
		return &rpc.CriuReq{Type: new(rpc.CriuReqType_FEATURE_CHECK), Features: &rpc.CriuFeatures{MemTrack: new(true), LazyPages: new(true)}}
	case container.CriuDump:
		return &rpc.CriuReq{Type: new(rpc.CriuReqType_DUMP), Opts: dumpOptions(q)}
	case container.CriuPreDump:
		return &rpc.CriuReq{Type: new(rpc.CriuReqType_SINGLE_PRE_DUMP), Opts: dumpOptions(q)}
	default:
		return &rpc.CriuReq{Type: new(rpc.CriuReqType_RESTORE), Opts: restoreOptions(q)}
	}
}

// logLevel is 4 of CRIU's log levels, debug: a failure cannot be understood
// with less.
const logLevel = 4

// options are those of a dump and of a restore.
func options(q *container.CriuRequest) *rpc.CriuOpts {
	o := &rpc.CriuOpts{
		ImagesDirFd: new(int32(q.Images)), WorkDirFd: optional(q.Work),
		LogLevel: new(int32(logLevel)), LogFile: new(q.Log), ConfigFile: text(q.Config), Root: text(q.Root),
		NotifyScripts: new(true), OrphanPtsMaster: new(true), ManageCgroups: new(true), ManageCgroupsMode: new(cgroupMode(q.CgroupMode)),
		NetworkLock: networkLock(q.NetworkLock), EmptyNs: new(q.EmptyNS), External: q.External,
		ShellJob: new(q.ShellJob), ExtUnixSk: new(q.ExtUnixSk), TcpEstablished: new(q.TCPEstablished), FileLocks: new(q.FileLocks),
		AutoDedup: new(q.AutoDedup), LazyPages: new(q.LazyPages), LinkRemap: new(q.LinkRemap),
	}
	for _, m := range q.Mounts {
		o.ExtMnt = append(o.ExtMnt, &rpc.ExtMountMap{Key: new(m.Key), Val: new(m.Value)})
	}
	if q.PageServer != "" {
		o.Ps = &rpc.CriuPageServerInfo{Address: new(q.PageServer), Port: new(int32(q.PageServerPort))}
	}
	return o
}

func dumpOptions(q *container.CriuRequest) *rpc.CriuOpts {
	o := options(q)
	o.Pid = new(int32(q.Pid))
	o.LeaveRunning, o.TcpSkipInFlight = new(q.LeaveRunning), new(q.TCPSkipInFlight)
	o.FreezeCgroup, o.ParentImg, o.TrackMem = text(q.FreezeCgroup), text(q.ParentImages), new(q.TrackMemory)
	o.StatusFd = optional(q.StatusFD)
	return o
}

func restoreOptions(q *container.CriuRequest) *rpc.CriuOpts {
	o := options(q)
	// The process is to be a child of ours, whose terminals and devices may have
	// other numbers here.
	o.RstSibling, o.EvasiveDevices = new(true), new(true)
	o.TcpClose = new(q.TCPClose)
	o.LsmProfile, o.LsmMountContext = text(q.LSMProfile), text(q.LSMContext)
	for _, i := range q.Inherit {
		o.InheritFd = append(o.InheritFd, &rpc.InheritFd{Key: new(i.Key), Fd: new(int32(i.FD))})
	}
	for _, j := range q.Join {
		o.JoinNs = append(o.JoinNs, &rpc.JoinNamespace{Ns: new(j.Kind), NsFile: new(j.Path)})
	}
	for _, g := range q.CgroupRoots {
		o.CgRoot = append(o.CgRoot, &rpc.CgroupRoot{Ctrl: new(g.Controllers), Path: new(g.Path)})
	}
	return o
}

func cgroupMode(name string) rpc.CriuCgMode {
	switch name {
	case "soft":
		return rpc.CriuCgMode_SOFT
	case "full":
		return rpc.CriuCgMode_FULL
	case "strict":
		return rpc.CriuCgMode_STRICT
	case "ignore":
		return rpc.CriuCgMode_IGNORE
	}
	return rpc.CriuCgMode_DEFAULT
}

func networkLock(name string) *rpc.CriuNetworkLockMethod {
	switch name {
	case "iptables":
		return new(rpc.CriuNetworkLockMethod_IPTABLES)
	case "nftables":
		return new(rpc.CriuNetworkLockMethod_NFTABLES)
	case "skip":
		return new(rpc.CriuNetworkLockMethod_SKIP)
	}
	return nil
}

// text is an optional string, absent when empty.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// optional is an optional descriptor.
func optional(fd int) *int32 {
	if fd < 0 {
		return nil
	}
	return new(int32(fd))
}

func send(sock int, q *rpc.CriuReq) error {
	b, err := q.MarshalVT()
	if err != nil {
		return err
	}
	for {
		if err = unix.Send(sock, b, unix.MSG_NOSIGNAL); err != unix.EINTR {
			return err
		}
	}
}

// receive takes a message and the descriptor that comes with it, -1 for none.
func receive(sock int) (*rpc.CriuResp, int, error) {
	b, oob := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4))
	var n, nOOB, flags int
	var err error
	for {
		if n, nOOB, flags, _, err = unix.Recvmsg(sock, b, oob, unix.MSG_CMSG_CLOEXEC); err != unix.EINTR {
			break
		}
	}
	switch {
	case err != nil:
		return nil, -1, err
	case n == 0:
		return nil, -1, errEnded
	}
	fd := received(oob[:nOOB])
	if flags&unix.MSG_TRUNC != 0 {
		closeIf(fd)
		return nil, -1, errors.New("a message of CRIU's is longer than " + strconv.Itoa(maxMessage) + " bytes")
	}
	r := new(rpc.CriuResp)
	if err := r.UnmarshalVT(b[:n]); err != nil {
		closeIf(fd)
		return nil, -1, err
	}
	return r, fd, nil
}

// received is the descriptor in a control message, -1 for none.
func received(oob []byte) int {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(msgs) != 1 {
		return -1
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) == 0 {
		return -1
	}
	return fds[0]
}

func closeIf(fd int) {
	if fd >= 0 {
		unix.Close(fd)
	}
}

var errEnded = &container.CriuError{Reason: "CRIU has ended without an answer"}
