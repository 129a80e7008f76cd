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

// container is ostia's, or krun's.
type container struct {
	f       *field
	runtime string
	id      string
	p       *process
}

func (o *container) start(ctx context.Context) (err error) {
	o.p, err = o.f.start(ctx, o.runtime, o.f.runArgs(o.runtime, o.id)...)
	return err
}

func (o *container) program() *process { return o.p }

func (o *container) end(err *error) {
	if o.p != nil && *err != nil {
		*err = fmt.Errorf("%w: %s", *err, o.p.said())
	}
	// The script has ended, or has to.
	_, _ = o.f.command(o.runtime, "delete", "--force", o.id)
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
		var s side
		switch who {
		case isOstia:
			s = &container{f: f, runtime: f.ostia, id: f.id()}
		case isKrun:
			s = &container{f: f, runtime: f.krun, id: f.id()}
		default:
			if s, err = f.preparePeer(who); err != nil {
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
	isKrun   = "krun"
	isCloud  = "cloud-hypervisor"
	isQEMU   = "QEMU"
	isManual = "QEMU as its manual has it"
)

const untilEntryPoint = "from the command to the entry point's first file"

func (f *field) boot() ([]result, error) {
	took, err := f.boots(isOstia, isQEMU, isManual)
	if err != nil {
		return nil, err
	}
	return []result{
		compare(untilEntryPoint+", QEMU with ostia's parameters", "s", "<= 0.5", took[0], took[1]),
		compare(untilEntryPoint+", QEMU as its manual has it", "s", "<= 0.5", took[0], took[2]),
	}, nil
}

// boots are the times from the command to the entry point's first file, as near
// to its first instruction as a host can see.
func (f *field) boots(sides ...string) ([][]float64, error) {
	took := make([][]float64, len(sides))
	for i := range f.rounds {
		for n, who := range sides {
			err := f.with(who, "touch /"+mark, func(ctx context.Context, w *watch, _ side) error {
				at, err := w.wait(ctx, mark)
				took[n] = append(took[n], at.Seconds())
				return err
			})
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(os.Stderr, "bench-vm: boot %d of %s: %.2f s\n", i+1, who, took[n][i])
		}
	}
	return took, nil
}
