package prepare

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"ostia/internal/vm/boot"
	"ostia/internal/vm/kvm"
	"ostia/internal/vm/machine"

	"golang.org/x/sys/unix"
)

// ErrUnfit says that a kernel shows no sign of life in this host's KVM.
var ErrUnfit = fmt.Errorf("/dev/kvm: the guest's kernel does not start: %w (a software KVM, or one inside of a virtual machine without nesting)", kvm.ErrUnfit)

// patience is how much of the processor a kernel may take to say its first word,
// and impatience how long on a host that has no time for it, or if it waits.
const (
	patience   = 5 * time.Second
	impatience = time.Minute
)

// fit finds out whether this KVM runs this kernel, by running it until it
// prints, or makes its first access to a device if it has no early console, for
// which it takes longer. A good answer is kept until the host boots anew.
func (e *entry) fit(device *os.File, bare bool) error {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return err
	}
	mark := filepath.Join(e.dir, fitFile+strings.TrimSpace(string(id)))
	if _, err := os.Stat(mark); err == nil {
		return nil
	}
	sign := &firstWord{seen: make(chan struct{})}
	c := machine.Config{
		KVM: int(device.Fd()), Memory: 128 * miB, CPUs: 1, Serial: sign, Bare: bare,
		Boot: boot.Config{Kernel: e.kernel, Cmdline: "earlyprintk=ttyS0,115200 panic=-1 reboot=t pci=off"},
	}
	bound := patience
	if bare {
		c.Serial, bound = nil, 4*patience
	}
	m, err := machine.New(c)
	if err != nil {
		return err
	}
	began := used()
	m.Start()
	often := time.NewTicker(10 * time.Millisecond)
	defer often.Stop()
	for late, alive := time.After(impatience), false; !alive && err == nil; {
		select {
		case <-sign.seen:
			alive = true
		case <-often.C:
			if alive = bare && m.Exits.Load() > 0; !alive && used()-began > bound {
				err = ErrUnfit
			}
		case <-m.Ended():
			err = fmt.Errorf("%w: %w", ErrUnfit, m.Why())
		case <-late:
			err = ErrUnfit
		}
	}
	m.Stop()
	if err != nil {
		return err
	}
	if err := os.WriteFile(mark, nil, 0o600); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err // an entry that was pruned meanwhile is made anew next time
	}
	return nil
}

// used is the processor time of this process, with that of its guest.
func used() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t) // never fails
	return time.Duration(t.Nano())
}

// firstWord sees that something was written.
type firstWord struct {
	once sync.Once
	seen chan struct{}
}

func (f *firstWord) Write(p []byte) (int, error) {
	f.once.Do(func() { close(f.seen) })
	return len(p), nil
}
