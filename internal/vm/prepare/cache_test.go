package prepare

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// The newest entries stay, and what another create is making; not what was
// left by one that was killed.
func TestPrune(t *testing.T) {
	cache := t.TempDir()
	for name, age := range map[string]time.Duration{"own": 90 * time.Hour, "a": time.Hour, "b": 2 * time.Hour, "c": 3 * time.Hour, "d": 4 * time.Hour, ".new-1": time.Minute, ".new-2": time.Hour} {
		dir := filepath.Join(cache, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-age)
		if err := os.Chtimes(dir, then, then); err != nil {
			t.Fatal(err)
		}
	}
	if err := (&entry{dir: filepath.Join(cache, "own")}).prune(cache); err != nil {
		t.Fatal(err)
	}
	var left []string
	all, err := os.ReadDir(cache)
	for _, d := range all {
		left = append(left, d.Name())
	}
	if want := []string{".new-1", "a", "b", "c", "own"}; err != nil || !slices.Equal(left, want) {
		t.Errorf("left %v, %v, want %v", left, err, want)
	}
}
