package monitor

import (
	"fmt"

	"ostia/internal/vm/wire"
)

// watchdog counts the seconds in which the guest gives no sign of life. They
// are ticks while this process runs, not time of a clock: a machine that is
// paused is not late.
type watchdog struct {
	h           *hub
	boot, bound int // seconds: to come up in, to answer in (0 for ever)
	up          bool
	quiet       int
}

// tick is called every second, and says when there have been too many. An
// agent that says nothing by itself is asked after a third of its time. What is
// asked may find no room in the guest's buffers, so nobody waits for it.
func (w *watchdog) tick() error {
	w.quiet++
	if !w.up {
		if w.quiet >= w.boot {
			return fmt.Errorf("the guest did not come up within %d s (annotation org.ostia.vm.boot_seconds)", w.boot)
		}
		return nil
	}
	if w.h.heard.Swap(false) || w.bound == 0 {
		w.quiet = 0
		return nil
	}
	switch w.quiet {
	case w.bound / 3:
		go w.h.send(&wire.Message{Kind: wire.Ping})
	case w.bound:
		return fmt.Errorf("the guest hangs: its agent has not answered for %d s (annotation org.ostia.vm.answer_seconds)", w.bound)
	}
	return nil
}

// started is called when the entry point runs.
func (w *watchdog) started() { w.up, w.quiet = true, 0 }
