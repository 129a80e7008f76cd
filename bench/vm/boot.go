package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// side is a machine of one of the two, which runs the bundle.
type side interface {
	// start starts it, and end ends it. What an engine makes before is made.
	start(context.Context) error
	end(*error)
	// program is whose end is the machine's.
	program() *process
}

// ours is ostia's container.
type ours struct {
	f  *field
	id string
	p  *process
}

func (o *ours) start(ctx context.Context) (err error) {
	o.p, err = o.f.start(ctx, o.f.ostia, o.f.ostiaArgs(o.id)...)
	return err
}

func (o *ours) program() *process { return o.p }

func (o *ours) end(err *error) {
	if o.p != nil && *err != nil {
		*err = fmt.Errorf("%w: %s", *err, o.p.said())
	}
	// The script has ended, or has to.
	_, _ = o.f.command("delete", "--force", o.id)
	if o.p != nil {
		o.p.kill()
	}
}

var errEnded = errors.New("the machine has ended")

// with runs a script on one side, from whose start the watch counts, and has
// work see it.
func (f *field) with(who, script string, work func(context.Context, *watch, side) error) error {
	if err := f.program(script); err != nil {
		return err
	}
	w, err := f.watch()
	if err != nil {
		return err
	}
	defer w.close()
	return f.round(who, func(ctx context.Context) (err error) {
		var s side = &ours{f: f, id: f.id()}
		if who != isOstia {
			if s, err = f.prepareQEMU(who); err != nil {
				return err
			}
		}
		defer s.end(&err)
		w.began = time.Now()
		if err = s.start(ctx); err != nil {
			return err
		}
		ctx, fail := context.WithCancelCause(ctx)
		defer fail(nil)
		go func() {
			<-s.program().ended
			time.Sleep(2 * time.Second) // its marks are to be seen before its end
			fail(errEnded)
		}()
		return work(ctx, w, s)
	})
}

const (
	isOstia  = "ostia"
	isQEMU   = "QEMU"
	isManual = "QEMU as its manual has it"
)

// boot is the time from the command to the entry point's first file, as near to
// its first instruction as a host can see.
func (f *field) boot() ([]result, error) {
	var took [3][]float64
	for i := range f.rounds {
		for n, who := range []string{isOstia, isQEMU, isManual} {
			err := f.with(who, "touch /"+mark, func(ctx context.Context, w *watch, _ side) error {
				at, err := w.wait(ctx, mark)
				took[n] = append(took[n], at.Seconds())
				return err
			})
			if err != nil {
				return nil, err
			}
		}
		fmt.Fprintf(os.Stderr, "bench-vm: boot %d: %.2f s, QEMU %.2f s, as its manual has it %.2f s\n", i+1, took[0][i], took[1][i], took[2][i])
	}
	const what = "from the command to the entry point's first file"
	return []result{
		compare(what+", QEMU with ostia's parameters", "s", "<= 0.5", took[0], took[1]),
		compare(what+", QEMU as its manual has it", "s", "", took[0], took[2]),
	}, nil
}
