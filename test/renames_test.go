package test

import (
	"os"
	"sync"
	"testing"
)

// TestRenamesElsewhere states that a container is made while files are being
// renamed elsewhere on the machine: the kernel gives up a confined ".." then,
// and asks for another try (openat2(2), EAGAIN).
func TestRenamesElsewhere(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	b := newBench(t, runtimePath(t), "renames")
	var mounts []any
	for _, name := range words("a b c d e f g h") {
		mounts = append(mounts, map[string]any{"destination": "/link/" + name, "type": "tmpfs", "source": "tmpfs"})
	}
	b.bundle(t, map[string]any{"/process/args": words("true"), "/mounts": mounts, "/root/readonly": false})
	// The more ".." a walk has, the more often it is given up.
	check(t, os.MkdirAll(b.dir+"/bundle/rootfs/x/y/z", 0o755))
	check(t, os.Symlink("x/y/z/../../y/z/../../y/z/../../y/z", b.dir+"/bundle/rootfs/link"))

	from, to := b.dir+"/from", b.dir+"/to"
	check(t, os.WriteFile(from, nil, 0o600))
	var renamer sync.WaitGroup
	end := make(chan struct{})
	renamer.Go(func() {
		for {
			select {
			case <-end:
				return
			default:
			}
			if err := os.Rename(from, to); err != nil {
				t.Error(err)
				return
			}
			from, to = to, from
		}
	})
	for range 20 {
		if out, err := b.ostia(words("run -b BUNDLE ID")...); err != nil {
			t.Errorf("run: %v\n%s", err, out)
			break
		}
	}
	close(end)
	renamer.Wait()
	b.clean(t, "at the end")
}
