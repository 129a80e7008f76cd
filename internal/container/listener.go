package container

import (
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

// passListener takes the seccomp listener from the stage and sends it with the
// container's state to the agent (config-linux.md#containerprocessstate).
func (c *creation) passListener(fd int) error {
	return passListener(c.stage.Take, fd, c.spec.Linux.Seccomp, func(metadata string) []byte {
		return c.state.ProcessState(Creating, c.stage.Pid, metadata)
	})
}

func passListener(take func(int) (int, error), fd int, s *spec.Seccomp, message func(metadata string) []byte) error {
	listener, err := take(fd)
	if err != nil {
		return &spec.Error{Pointer: "linux.seccomp", Err: err}
	}
	defer unix.Close(listener)
	if err := sendFD(s.ListenerPath, string(message(s.ListenerMetadata)), listener); err != nil {
		return &spec.Error{Pointer: "linux.seccomp.listenerPath " + s.ListenerPath, Err: failed("failed to connect with seccomp agent", "", err)}
	}
	return nil
}
