package console

import (
	"strings"
	"testing"
)

func TestLast(t *testing.T) {
	const stack = "[    1.700000] Call Trace:\r\n[    1.700001]  <TASK>\r\n"
	for _, c := range []struct{ name, said, want string }{
		{"nothing", "", ""},
		{"an empty line", "\r\n\r\n", ""},
		{"the last line", "[    0.1] one\r\n[    1.234567] reboot: Power down\r\n", "reboot: Power down"},
		{"without a time", "one\r\ntwo", "two"},
		{"a panic and its stack", "[    1.6] sysrq: Trigger a crash\r\n[    1.7] Kernel panic - not syncing: sysrq triggered crash\r\n" + stack,
			"Kernel panic - not syncing: sysrq triggered crash"},
		{"more than is kept", strings.Repeat("x", 3*kept) + "\r\nend", "end"},
		{"a panic that does not reset", "[    1.7] ---[ end Kernel panic - not syncing: X ]---\r\n", "Kernel panic - not syncing: X"},
		{"a line of more than is kept", strings.Repeat("x", 3*kept), strings.Repeat("x", longest)},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &Device{}
			for rest := c.said; rest != ""; { // as a driver gives it, in pieces
				n := min(len(rest), 1000)
				d.keep([]byte(rest[:n]))
				rest = rest[n:]
			}
			if got := d.Last(); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// Only a panic is the reason of whatever comes later.
func TestLastIsRecent(t *testing.T) {
	d := &Device{}
	d.keep([]byte("[Firmware Bug]: nothing to do with it\r\n"))
	d.at = d.at.Add(-2 * recent)
	if got := d.Last(); got != "" {
		t.Errorf("an old line: %q", got)
	}
	d.keep([]byte("Kernel panic - not syncing: X\r\n"))
	d.at = d.at.Add(-2 * recent)
	if got := d.Last(); got != "Kernel panic - not syncing: X" {
		t.Errorf("an old panic: %q", got)
	}
}
