package cli

import (
	"strconv"
	"time"

	"ostia/internal/file"

	"golang.org/x/sys/unix"
)

// progress shows on a terminal, from the third second on, what a command is at.
type progress struct {
	what  string
	steps chan string
	ended chan struct{}
}

// newProgress begins to count. Where standard error is no terminal nobody is
// there to be told.
func newProgress(in *invocation) *progress {
	p := &progress{what: in.command.name + " " + in.args[0]}
	if _, err := unix.IoctlGetTermios(2, unix.TCGETS); err != nil {
		return p
	}
	p.steps, p.ended = make(chan string), make(chan struct{})
	go p.show(time.Now())
	return p
}

func (p *progress) show(since time.Time) {
	defer close(p.ended)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	step, shown := "", false
	for {
		select {
		case s, more := <-p.steps:
			if step = ": " + s; more {
				continue
			}
			if shown {
				_ = file.WriteAll(2, "\r\x1b[K")
			}
			return
		case now := <-tick.C:
			if seconds := int(now.Sub(since).Seconds()); seconds >= 2 {
				shown = true
				_ = file.WriteAll(2, "\r\x1b[K"+p.what+step+", "+strconv.Itoa(seconds)+" s")
			}
		}
	}
}

// step says what comes now, "" that nothing more does.
func (p *progress) step(name string) {
	if name == "" {
		p.end()
	} else if p.steps != nil {
		p.steps <- name
	}
}

// end takes what was shown off the terminal.
func (p *progress) end() {
	if p.steps != nil {
		close(p.steps)
		<-p.ended
		p.steps = nil
	}
}
