package vm

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// The guest gets random bytes from the host, and memory that it no longer uses
// goes back. What the monitor needs besides the guest's memory is little.
func TestDevices(t *testing.T) {
	const large = 200 // MiB
	script := fmt.Sprintf(`cat /sys/class/misc/hw_random/rng_current; head -c 64 /dev/hwrng | wc -c
dd if=/dev/zero of=/tmp/large bs=1M count=%d 2>/dev/null; echo full; while [ -e /tmp/large ]; do sleep 1; done; sleep 1000`, large)
	dir := bundle(t, script, func(c object) {
		c["linux"].(object)["devices"] = []object{{"path": "/dev/hwrng", "type": "c", "major": 10, "minor": 183, "fileMode": 0o600}}
		resources := c["linux"].(object)["resources"].(object)
		resources["devices"] = append(resources["devices"].([]any), object{"allow": true, "type": "c", "major": 10, "minor": 183, "access": "r"})
		addMount(c, object{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"})
	})
	id := name(t)
	output := start(t, id, dir, "full\n")
	text, err := os.ReadFile(output)
	check(t, err)
	if !strings.HasPrefix(string(text), "virtio_rng") || !strings.HasSuffix(string(text), "\n64\nfull\n") {
		t.Errorf("hw_random: %q", text)
	}
	var s struct{ Pid int }
	check(t, json.Unmarshal([]byte(ostia(t, "", "state", id).stdout), &s))
	full, huge, monitor := resident(t, s.Pid)
	t.Logf("%d MiB of the guest's memory are in use, of them %d in huge pages, and %d KiB of the monitor's own", full>>10, huge>>10, monitor)
	if full < large<<10 || huge < full/2 || monitor > 10<<10 {
		t.Errorf("guest %d KiB, want at least %d MiB; huge pages %d KiB, want half of it; monitor %d KiB, want at most 10 MiB", full, large, huge, monitor)
	}
	ostia(t, "", "exec", id, "rm", "/tmp/large").want(t, 0, "")
	// It goes in blocks of 2 MiB, and one with a page of something else stays.
	waitFor(t, "the memory", func() bool {
		now, _, _ := resident(t, s.Pid)
		return now < full-large*3/4<<10
	})
}

// resident are the KiB of a monitor's process that are the guest's memory,
// which is its largest mapping, those of them in huge pages, and the others.
func resident(t *testing.T, pid int) (guest, huge, monitor int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", pid))
	check(t, err)
	var largest, size, n int
	ours := true
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "Size: %d kB", &size); err == nil {
			continue
		}
		if _, err := fmt.Sscanf(line, "AnonHugePages: %d kB", &n); err == nil && !ours {
			huge = n
		}
		if _, err := fmt.Sscanf(line, "Rss: %d kB", &n); err != nil {
			continue
		}
		if ours = size <= largest; ours {
			monitor += n
		} else {
			monitor, guest, largest = monitor+guest, n, size
		}
	}
	return guest, huge, monitor
}
