package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func (f *field) exits() ([]result, error) { return f.exitsBeside(isQEMU, "", "<= 300") }

// exitsBeside counts how often a guest left its processor until its entry point's
// first file: to KVM, and through it to the monitor, by the kernel's own trace
// points. Beside QEMU it counts those of ostia's machine by device, too. beside is
// added to what is measured.
func (f *field) exitsBeside(peer, beside, goal string) ([]result, error) {
	const tracing, events = "/run/bench-tracing", "/run/bench-tracing/events/kvm/"
	if err := os.MkdirAll(tracing, 0o700); err != nil {
		return nil, err
	}
	if err := unix.Mount("tracefs", tracing, "tracefs", 0, ""); err != nil {
		return nil, fmt.Errorf("tracefs: %w", err)
	}
	defer unix.Unmount(tracing, 0)
	var all, user [2]float64
	var list []result
	for n, who := range []string{isOstia, peer} {
		keys := map[string]string{"kvm_exit": "exit_reason", "kvm_userspace_exit": "reason", "kvm_mmio": "gpa", "kvm_pio": "port"}
		counts := map[string]map[uint64]float64{}
		for event, key := range keys {
			if err := os.WriteFile(events+event+"/trigger", []byte("hist:keys="+key), 0o600); err != nil {
				return nil, fmt.Errorf("%s: %w", event, err)
			}
		}
		err := f.with(who, "touch /"+mark+"; sleep 1000", func(ctx context.Context, w *watch, _ side) error {
			_, err := w.wait(ctx, mark)
			for event, key := range keys {
				text, e := os.ReadFile(events + event + "/hist")
				if err == nil {
					err = e
				}
				counts[event] = histogram(string(text), key)
			}
			return err
		})
		for event, key := range keys {
			_ = os.WriteFile(events+event+"/trigger", []byte("!hist:keys="+key), 0o600)
		}
		if err != nil {
			return nil, err
		}
		all[n], user[n] = sum(counts["kvm_exit"]), sum(counts["kvm_userspace_exit"])
		fmt.Fprintf(os.Stderr, "bench-vm: exits of %s: by SVM's code %v; to the monitor by reason %v\n", who, counts["kvm_exit"], counts["kvm_userspace_exit"])
		if who == isOstia && peer == isQEMU {
			list = append(list, byDevice(counts["kvm_mmio"], counts["kvm_pio"])...)
		} else if who != isOstia {
			fmt.Fprintf(os.Stderr, "bench-vm: ports %v\n", counts["kvm_pio"])
		}
	}
	return append([]result{
		compare("exits to the monitor until the entry point"+beside, "exits", goal, user[:1], user[1:]),
		compare("exits to KVM until the entry point"+beside, "exits", "", all[:1], all[1:]),
	}, list...), nil
}

// byDevice tells what of ostia's devices the stores were: what a driver reads is
// memory. Notifications, and at each interrupt that it was seen, KVM takes itself.
func byDevice(mmio, ports map[uint64]float64) (list []result) {
	const windows, size = 0xd0000000, 0x1000
	add := func(what string, n float64) {
		list = append(list, result{Measurement: what, Unit: "accesses", Ostia: n})
	}
	for i, name := range []string{"virtio-fs", "vsock", "entropy", "balloon", "console"} {
		var setup, inside float64
		for at, times := range mmio {
			switch offset := at - (windows + uint64(i)*size); {
			case at < windows || offset >= size:
			case offset == 0x50 || offset == 0x64:
				inside += times
			default:
				setup += times
			}
		}
		add(name+": set up", setup)
		add(name+": notify, acknowledge: no exit", inside)
	}
	add("ports", sum(ports))
	return list
}

// histogram reads lines like "{ gpa: 0xd0000070 } hitcount: 12".
func histogram(text, key string) map[uint64]float64 {
	counts := map[uint64]float64{}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 6 || fields[0] != "{" || fields[1] != key+":" {
			continue
		}
		k, err := strconv.ParseUint(fields[2], 0, 64)
		times, err2 := strconv.ParseFloat(fields[len(fields)-1], 64)
		if err == nil && err2 == nil {
			counts[k] += times
		}
	}
	return counts
}

func sum(counts map[uint64]float64) (n float64) {
	for _, times := range counts {
		n += times
	}
	return n
}
