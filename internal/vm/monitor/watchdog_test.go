package monitor

import (
	"testing"

	"ostia/internal/vm/wire"
)

// An agent that is heard of in time, or was asked and answers, is there; one
// that is not, is lost after the bound and not before.
func TestWatchdog(t *testing.T) {
	h := newHub()
	w := &watchdog{h: h, boot: 5, bound: 6}
	for i := range 4 {
		if err := w.tick(); err != nil {
			t.Fatalf("after %d of 5 s: %v", i+1, err)
		}
	}
	w.started()
	for range 3 {
		for i := range 5 {
			if err := w.tick(); err != nil {
				t.Fatalf("after %d of 6 s: %v", i+1, err)
			}
		}
		h.heard.Store(true)
		if err := w.tick(); err != nil {
			t.Fatal("it has answered:", err)
		}
	}
	for i := range 6 {
		if err := w.tick(); (err != nil) != (i == 5) {
			t.Fatalf("after %d of 6 s: %v", i+1, err)
		}
	}
	never := &watchdog{h: newHub(), boot: 1}
	if err := never.tick(); err == nil {
		t.Error("a guest that does not come up is waited for")
	}
	never.started()
	for range 1000 {
		if err := never.tick(); err != nil {
			t.Fatal("no bound:", err)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.unsent {
		if m.Kind != wire.Ping {
			t.Errorf("sent %q", m.Kind)
		}
	}
}
