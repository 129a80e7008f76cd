package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// boot is the time from the command to the entry point's first instruction, as
// far as a host can see it: a file that the entry point makes.
func (f *field) boot() ([]result, error) {
	var ours, theirs []float64
	for i := range f.rounds {
		a, err := f.bootOstia()
		if err != nil {
			return nil, err
		}
		b, err := f.bootQEMU()
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(os.Stderr, "bench-vm: boot %d: %.2f s, QEMU %.2f s\n", i+1, a, b)
		ours, theirs = append(ours, a), append(theirs, b)
	}
	return []result{compare("from the command to the entry point's first file", "s", "<= 0.5", ours, theirs)}, nil
}

func (f *field) bootOstia() (took float64, err error) {
	w, err := f.watch()
	if err != nil {
		return 0, err
	}
	defer w.close()
	err = f.round("ostia", func(ctx context.Context) error {
		began := time.Now()
		p, err := f.start(ctx, f.ostia, f.ostiaArgs(f.id())...)
		if err != nil {
			return err
		}
		if err = w.wait(ctx); err == nil {
			took = time.Since(began).Seconds()
		}
		if e := p.wait(); err == nil || ctx.Err() == nil {
			err = e
		}
		return err
	})
	return took, err
}

func (f *field) bootQEMU() (took float64, err error) {
	w, err := f.watch()
	if err != nil {
		return 0, err
	}
	defer w.close()
	p, err := f.prepareQEMU()
	if err != nil {
		return 0, err
	}
	defer p.end()
	err = f.round("QEMU", func(ctx context.Context) error {
		began := time.Now()
		err := p.start(ctx, f)
		if err == nil {
			err = w.wait(ctx)
		}
		took = time.Since(began).Seconds()
		return p.why(err)
	})
	return took, err
}
