package prepare

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// The descriptors of Main: where the configuration is read from, and the
// socket that takes the answer.
const (
	configFD = 3
	answerFD = 4
)

// Main prepares a machine for the runtime, which reads one message: "ok" with
// four to six descriptors in the order of Files, or the reason of the failure.
func Main(rootfs string) int {
	config, err := io.ReadAll(os.NewFile(configFD, "config"))
	if err == nil {
		var f *Files
		if f, err = New(string(config), rootfs); err == nil {
			fds := []int{int(f.KVM.Fd()), int(f.Kernel.Fd()), int(f.Initrd.Fd()), int(f.Setup.Fd())}
			for _, file := range [...]*os.File{f.Wire, f.Passt} {
				if file != nil {
					fds = append(fds, int(file.Fd()))
				}
			}
			err = unix.Sendmsg(answerFD, []byte("ok"), unix.UnixRights(fds...), nil, unix.MSG_NOSIGNAL)
		}
	}
	if err == nil {
		return 0
	}
	_ = unix.Send(answerFD, []byte(err.Error()), unix.MSG_NOSIGNAL) // the runtime sees an end in any case
	return 1
}
