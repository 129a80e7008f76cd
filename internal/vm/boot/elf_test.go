package boot

import (
	"bytes"
	"debug/elf"
	"os"
	"slices"
	"testing"
)

// FuzzSegments: what is read of a file is what debug/elf reads of it, if both
// take it; and this program is a file that both take.
func FuzzSegments(f *testing.F) {
	own, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		f.Fatal(err)
	}
	own[18], own[19] = 62, 0 // EM_X86_64, wherever this runs
	if all, want, err := bothSegments(own); err != nil || len(want) == 0 || !slices.Equal(all, want) {
		f.Fatalf("%v, %v, want %v", all, err, want)
	}
	small := slices.Clone(own[:4096])
	clear(small[40:48]) // no sections
	clear(small[58:64])
	if all, want, err := bothSegments(small); err != nil || len(want) == 0 || !slices.Equal(all, want) {
		f.Fatalf("without sections: %v, %v, want %v", all, err, want)
	}
	f.Add(small)
	for at, value := range map[int]byte{4: 1, 5: 2, 18: 183, 39: 0x80, 38: 1, 54: 55} { // 32 bits, big-endian, arm64, a table elsewhere or of another kind
		wrong := slices.Clone(small)
		wrong[at] = value
		if all, err := segments(bytes.NewReader(wrong)); err == nil {
			f.Errorf("byte %d is %#x: %v, and no error", at, value, all)
		}
		f.Add(wrong)
	}
	for _, n := range []int{0, 63, 64, 100} {
		if all, err := segments(bytes.NewReader(small[:n])); err == nil {
			f.Errorf("%d bytes: %v, and no error", n, all)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if all, want, err := bothSegments(b); err == nil && want != nil && !slices.Equal(all, want) {
			t.Errorf("%v, want %v", all, want)
		}
	})
}

// bothSegments are a file's, and want those of debug/elf; nil if it does not take
// the file.
func bothSegments(b []byte) (all, want []segment, err error) {
	all, err = segments(bytes.NewReader(b))
	if e, err := elf.NewFile(bytes.NewReader(b)); err == nil {
		for _, p := range e.Progs {
			want = append(want, segment{uint32(p.Type), p.Off, p.Paddr, p.Filesz, p.Memsz})
		}
	}
	return all, want, err
}
