// Command vm runs the microVM handler beside QEMU's microvm machine with
// virtiofsd, in turn, in the guest of test/guest, where KVM is nested: the same
// kernel, the same initramfs, the same entry point. `make bench-vm`. Where krun is
// built (crun with libkrun, which Debian has not), it runs beside that, too, with
// the kernel of krun's: BENCH="-krun FILE -libkrunfw FILE"; and beside a
// cloud-hypervisor that is built: BENCH="-cloud-hypervisor FILE".
//
// Only ratios of one run mean anything: the processor is emulated.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

func main() {
	var o options
	flag.StringVar(&o.ostia, "ostia", os.Getenv("RUNTIME"), "the binary to measure")
	flag.StringVar(&o.machine, "machine", machineType, "QEMU's -machine")
	flag.StringVar(&o.krun, "krun", "", "a crun with libkrun, by the name of krun")
	flag.StringVar(&o.krunKernel, "libkrunfw", "", "the libkrunfw that it finds, as a path")
	flag.StringVar(&o.cloud, "cloud-hypervisor", "", "a cloud-hypervisor")
	flag.StringVar(&o.only, "only", "", "only the parts whose names hold this")
	flag.StringVar(&o.before, "before", "", "an earlier output: what it says of parts that are not measured now is kept")
	flag.IntVar(&o.rounds, "n", 5, "rounds of each measurement")
	flag.DurationVar(&o.limit, "limit", 4*time.Minute, "the longest that one round of a part may take")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench-vm:", err)
		os.Exit(1)
	}
}

type options struct {
	ostia, machine, only, before string
	krun, krunKernel, cloud      string
	rounds                       int
	limit                        time.Duration
}

// part is one thing to measure.
type part struct {
	name    string
	measure func(*field) ([]result, error)
}

var parts = []part{
	{"boot", (*field).boot},
	{"exits", (*field).exits},
	{"memory", (*field).memory},
	{"exec", (*field).exec},
	{"files", (*field).files},
	{"cloud-hypervisor", (*field).besideCloud},
	{"krun", (*field).besideKrun}, // the last: it makes the bundle another kernel's
}

// run measures, and prints a table on standard error and JSON on standard output.
func run(o options) error {
	if os.Getenv("OSTIA_GUEST") == "" {
		return errors.New("runs in the guest of test/guest: make bench-vm")
	}
	f, err := newField(o)
	if err != nil {
		return err
	}
	defer f.remove()
	report, err := f.report(o.before)
	if err != nil {
		return err
	}
	var failed []string
	for _, p := range parts {
		if !strings.Contains(p.name, o.only) || p.name == "krun" && o.krun == "" || p.name == "cloud-hypervisor" && o.cloud == "" {
			continue
		}
		fmt.Fprintf(os.Stderr, "bench-vm: %s ...\n", p.name)
		results, err := p.measure(f)
		if err != nil {
			fmt.Fprintf(os.Stderr, "bench-vm: %s: %v\n", p.name, err)
			failed = append(failed, p.name)
			continue
		}
		report.take(p.name, results)
	}
	report.table(os.Stderr)
	if err := report.json(os.Stdout); err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("failed: %s", strings.Join(failed, ", "))
	}
	return nil
}

// round is one round's time; the error of one that takes too long names who
// stood still.
func (f *field) round(who string, work func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), f.limit)
	defer cancel()
	err := work(ctx)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%s: stood still for %v: %w", who, f.limit, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", who, err)
	}
	return nil
}
