package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// The files part is small: on this processor a megabyte takes its time.
const (
	megabytes = 16
	entries   = 60
)

// failed is the end of the mark of a step that failed: krun's server may lose
// entries of a folder that is read while it is emptied.
const failed = "-failed"

// steps are what a script does in /data, and the mark that follows each.
var steps = []struct{ mark, what, unit, script string }{
	{"mark-write", "virtio-fs: write and fsync", "MiB/s", fmt.Sprintf("dd if=/dev/zero of=/data/new bs=1M count=%d conv=fsync", megabytes)},
	{"mark-read", "virtio-fs: read, not in the guest's cache", "MiB/s", "dd if=/data/old of=/dev/null bs=1M"},
	{"mark-create", "virtio-fs: create", "files/s", fmt.Sprintf("i=0; while [ $i -lt %d ]; do : >/data/many/$i; i=$((i+1)); done", entries)},
	{"mark-list", "virtio-fs: list with attributes, not in the guest's cache", "files/s", "ls -l /data/list"},
	{"mark-remove", "virtio-fs: remove", "files/s", "rm -r /data/many"},
}

func (f *field) files() ([]result, error) { return f.rates("", isOstia, isQEMU) }

// rates are those at which the file servers of ostia and of a peer read, write,
// make, list and remove. beside is added to what is measured.
func (f *field) rates(beside string, sides ...string) ([]result, error) {
	script := "touch /" + mark + "; "
	for _, s := range steps {
		script += s.script + " >/dev/null 2>&1 || touch /" + s.mark + failed + "; touch /" + s.mark + "; "
	}
	rates := make([][2][]float64, len(steps))
	for range f.rounds {
		for n, who := range sides {
			if err := f.data(); err != nil {
				return nil, err
			}
			err := f.with(who, script, func(ctx context.Context, w *watch, _ side) error {
				before, err := w.wait(ctx, mark)
				for i, s := range steps {
					if err != nil {
						return err
					}
					at, e := w.wait(ctx, s.mark)
					amount := float64(entries)
					if s.unit == "MiB/s" {
						amount = megabytes
					}
					if _, no := w.seen[s.mark+failed]; no && who != isKrun {
						e = fmt.Errorf("%q failed", s.script)
					} else if no {
						fmt.Fprintf(os.Stderr, "bench-vm: %s: %s failed\n", who, s.what)
					} else if e == nil {
						rate := amount / (at - before).Seconds()
						rates[i][n] = append(rates[i][n], rate)
						fmt.Fprintf(os.Stderr, "bench-vm: %s: %s: %.3g %s\n", who, s.what, rate, s.unit)
					}
					before, err = at, e
				}
				return err
			})
			if err != nil {
				return nil, err
			}
		}
	}
	var list []result
	for i, s := range steps {
		list = append(list, compare(s.what+beside, s.unit, ">= 0.8", rates[i][0], rates[i][1]))
	}
	return list, nil
}

// data makes /data anew.
func (f *field) data() error {
	dir := filepath.Join(f.root(), "data")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	for _, d := range []string{"many", "list"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	for i := range entries {
		if err := os.WriteFile(filepath.Join(dir, "list", fmt.Sprint(i)), nil, 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "old"), make([]byte, megabytes<<20), 0o644)
}
