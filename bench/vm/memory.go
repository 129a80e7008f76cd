package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

func (f *field) memory() ([]result, error) {
	sizes, err := f.resident(isOstia, isQEMU)
	if err != nil {
		return nil, err
	}
	return []result{compare("resident besides the guest's memory, with virtiofsd", "MiB", "<= 10 MiB", sizes[:1], sizes[1:])}, nil
}

// resident is what the processes of a machine have resident besides the guest's
// memory, in MiB.
func (f *field) resident(sides ...string) ([]float64, error) {
	sizes := make([]float64, len(sides))
	for n, who := range sides {
		err := f.with(who, "touch /"+mark+"; sleep 1000", func(ctx context.Context, w *watch, s side) error {
			if _, err := w.wait(ctx, mark); err != nil {
				return err
			}
			time.Sleep(5 * time.Second) // what comes after the start has come
			pids, err := f.processes(s)
			for _, pid := range pids {
				var mib float64
				if mib, err = besides(pid); err != nil {
					break
				}
				sizes[n] += mib
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return sizes, nil
}

// processes are those that make a machine: the monitor; the peer's and both of
// virtiofsd's.
func (f *field) processes(s side) ([]string, error) {
	switch s := s.(type) {
	case *container:
		out, err := f.command(s.runtime, "state", s.id)
		if err != nil {
			return nil, err
		}
		_, rest, _ := strings.Cut(out, `"pid":`)
		pid, _, _ := strings.Cut(strings.TrimSpace(rest), ",")
		return []string{pid}, nil
	case *peer:
		pids := []string{strconv.Itoa(s.vmm.cmd.Process.Pid)}
		fs := strconv.Itoa(s.fs.cmd.Process.Pid)
		children, err := os.ReadFile("/proc/" + fs + "/task/" + fs + "/children")
		return append(append(pids, fs), strings.Fields(string(children))...), err
	}
	return nil, nil
}

// besides is a process's resident memory in MiB without the mappings that are
// as large as a part of a guest's.
func besides(pid string) (float64, error) {
	file, err := os.Open("/proc/" + pid + "/smaps")
	if err != nil {
		return 0, err
	}
	defer file.Close()
	size, resident := 0, 0
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var kb int
		if _, err := fmt.Sscanf(lines.Text(), "Size: %d kB", &kb); err == nil {
			size = kb
		} else if _, err := fmt.Sscanf(lines.Text(), "Rss: %d kB", &kb); err == nil && size < 128<<10 {
			resident += kb
		}
	}
	return float64(resident) / 1024, lines.Err()
}
