package launch

import (
	"syscall"
	"testing"

	"ostia/internal/plan"

	"golang.org/x/sys/unix"
)

// However the runtime's descriptors lie, the fork that moves the stage's into
// place leaves its image alone.
func TestStartWithDescriptorsEverywhere(t *testing.T) {
	for top := 16; top < 40; top++ {
		sock, theirs, err := Socket()
		if err != nil {
			t.Fatal(err)
		}
		// Every file but the last has a lower number than its place, so that all are moved aside first.
		files := []uintptr{2, 0, 1, 0, 1, 2, 0, uintptr(theirs), uintptr(top)}
		if err := unix.Dup3(theirs, top, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		s, err := Start(plan.Holder(8), files, &syscall.SysProcAttr{}, -1, sock, t.TempDir())
		unix.Close(theirs)
		unix.Close(top)
		if err != nil {
			t.Fatalf("the highest of the stage's files was %d: %v", top, err)
		}
		s.Close()
		if ws, err := s.Reap(); err != nil || !ws.Exited() || ws.ExitStatus() != 0 {
			t.Errorf("the highest of the stage's files was %d: it ended with %v, %v", top, ws, err)
		}
		unix.Close(s.PidFD)
	}
}
