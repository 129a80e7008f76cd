package image

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"os"
	"testing"

	"ostia/internal/vm/kernel"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"
)

// packers are the compressions of distributions: Debian's cloud kernel has LZ4,
// Fedora's zstd, Debian's others xz, and gzip is what a kernel has by default.
var packers = map[string]func(io.Writer) (io.WriteCloser, error){
	"gzip": func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil },
	"xz":   func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) },
	"zstd": func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) },
	"lz4": func(w io.Writer) (io.WriteCloser, error) {
		z := lz4.NewWriter(w)
		return z, z.Apply(lz4.LegacyOption(true))
	},
}

func pack(t testing.TB, packer func(io.Writer) (io.WriteCloser, error), content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := packer(&b)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// image is a bzImage with a payload, as the kernel's build puts it together.
func image(payload []byte, size int, isGzip bool) []byte {
	b := make([]byte, 0x800)
	b[setupSectors] = 1
	copy(b[headerMagic:], "HdrS")
	le := binary.LittleEndian
	le.PutUint16(b[0x20e:], 0x500)
	copy(b[0x700:], "6.1.0-test (somebody) #1 SMP\x00")
	le.PutUint32(b[payloadOffset:], uint32(len(b))-2*512)
	if !isGzip {
		payload = le.AppendUint32(bytes.Clone(payload), uint32(size))
	}
	le.PutUint32(b[payloadLength:], uint32(len(payload)))
	return append(b, payload...)
}

func TestUnpack(t *testing.T) {
	content := append([]byte("\x7fELF"), bytes.Repeat([]byte("a kernel "), 1<<19)...)
	for name, packer := range packers {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir() + "/vmlinuz"
			packed := image(pack(t, packer, content), len(content), name == "gzip")
			if err := os.WriteFile(path, packed, 0o644); err != nil {
				t.Fatal(err)
			}
			k, err := kernel.Find(path)
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if was, err := unpackKernel(&got, k); err != nil || !was || !bytes.Equal(got.Bytes(), content) {
				t.Errorf("%d bytes, packed %v, %v, want %d bytes", got.Len(), was, err, len(content))
			}
			if err := unpack(io.Discard, packed[:len(packed)-len(packed)/4]); err == nil {
				t.Error("a file cut short is accepted")
			}
		})
	}
}

func TestModule(t *testing.T) {
	content := []byte("a module")
	for ending, packer := range map[string]string{"gz": "gzip", "xz": "xz", "zst": "zstd"} {
		got, err := unpackModule("x.ko."+ending, pack(t, packers[packer], content))
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %q, %v", ending, got, err)
		}
	}
}

// Whatever a file that is called a kernel holds, reading it ends.
func FuzzUnpack(f *testing.F) {
	for name, packer := range packers {
		f.Add(image(pack(f, packer, []byte("\x7fELF")), 4, name == "gzip"))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w := &bounded{left: 1 << 20}
		_ = unpack(w, b) // the file is what it is
	})
}

// bounded takes so many bytes: a bomb is not the reader's fault.
type bounded struct{ left int }

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}
