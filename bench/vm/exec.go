package main

import (
	"context"
	"time"
)

// exec is the time of an exec into a running guest, beside that of the boot.
func (f *field) exec() ([]result, error) {
	var boot, execs []float64
	err := f.with(isOstia, "touch /"+mark+"; sleep 1000", func(ctx context.Context, w *watch, s side) error {
		at, err := w.wait(ctx, mark)
		if err != nil {
			return err
		}
		boot = append(boot, at.Seconds())
		for range f.rounds + 1 {
			began := time.Now()
			p, err := f.start(ctx, f.ostia, "--root", f.state(f.ostia), "exec", s.(*container).id, "/bin/true")
			if err == nil {
				err = p.wait()
			}
			if err != nil {
				return err
			}
			execs = append(execs, time.Since(began).Seconds())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	r := compare("exec of /bin/true, by this machine's boot", "s", "<= 0.1", execs[1:], nil) // the first fills caches
	r.Ratio = r.Ostia / boot[0]
	return []result{r}, nil
}
