package balloon

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Only whole pages within what is reported go: what lies around them stays.
func TestRelease(t *testing.T) {
	const page = 4096
	b, err := unix.Mmap(-1, 0, 4*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(b) }()
	for _, c := range []struct{ from, to, gone, kept int }{
		{0, 4 * page, 0, 4 * page}, {1, 4*page - 1, page, 3 * page}, {page, 2 * page, page, 2 * page}, {1, page, 0, 0}, {7, 7, 0, 0}, {1, 2*page - 1, 0, 0},
	} {
		for i := range b {
			b[i] = 1
		}
		release(b[c.from:c.to])
		for i, v := range b {
			if gone := i >= c.gone && i < c.kept; gone != (v == 0) {
				t.Fatalf("of %d to %d the byte at %d is %d", c.from, c.to, i, v)
			}
		}
	}
}
