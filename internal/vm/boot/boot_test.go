package boot

import (
	"bytes"
	"os"
	"testing"
)

// A range of a file with holes is read as any reader sees it.
func TestReadData(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	content := make([]byte, 400_000)
	for at, n := range map[int]int{10: 5000, 100_000: 30_000, 300_000: 1} {
		piece := bytes.Repeat([]byte{7}, n)
		copy(content[at:], piece)
		if _, err := f.WriteAt(piece, int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(int64(len(content))); err != nil {
		t.Fatal(err)
	}
	for _, r := range [][2]int{{0, 400_000}, {5, 20}, {4096, 200_000}, {110_000, 100}, {299_999, 3}, {320_000, 80_000}, {400_000, 0}} {
		b := make([]byte, r[1])
		if err := readData(f, b, uint64(r[0])); err != nil || !bytes.Equal(b, content[r[0]:r[0]+r[1]]) {
			t.Errorf("%d bytes at %d: differ, or %v", r[1], r[0], err)
		}
	}
	for _, r := range [][2]uint64{{400_001, 0}, {399_999, 2}, {1 << 63, 1}} {
		if err := readData(f, make([]byte, r[1]), r[0]); err == nil {
			t.Errorf("%d bytes at %d: no error", r[1], r[0])
		}
	}
}
