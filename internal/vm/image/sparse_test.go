package image

import (
	"bytes"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// What was written is read, however it was cut, and takes no more room than it
// needs.
func TestSparse(t *testing.T) {
	content := make([]byte, 1<<20+123)
	copy(content[5000:], "something")
	copy(content[300_000:], bytes.Repeat([]byte{1}, 9000))
	for _, piece := range []int{1 << 21, 32 << 10, 4097, 1000} {
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		s := &sparse{file: f}
		for rest := content; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
			if _, err := s.Write(rest[:min(piece, len(rest))]); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Truncate(s.at); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(f)
		var st unix.Stat_t
		if e := unix.Fstat(int(f.Fd()), &st); e != nil {
			t.Fatal(e)
		}
		if err != nil || !bytes.Equal(got, content) || st.Blocks*512 > 64<<10 {
			t.Errorf("in pieces of %d: %d bytes, %v, %d KiB on disk", piece, len(got), err, st.Blocks/2)
		}
		f.Close()
	}
}
