package image

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"ostia/internal/vm/kernel"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"
)

// Offsets in a bzImage's setup header (Documentation/arch/x86/boot.rst).
const (
	setupSectors  = 0x1f1
	headerMagic   = 0x202
	payloadOffset = 0x248
	payloadLength = 0x24c
)

// unpackKernel writes the ELF kernel to w. A kernel that is one already is
// reported by false, and nothing is written.
func unpackKernel(w io.Writer, k kernel.Kernel) (packed bool, err error) {
	b, err := os.ReadFile(k.Path)
	if err != nil {
		return false, err
	}
	switch {
	case k.Bare:
		return true, unpackBundle(w, b)
	case kernel.IsELF(b):
		return false, nil
	}
	return true, unpack(w, b)
}

// unpack writes the ELF kernel in a bzImage to w.
func unpack(w io.Writer, image []byte) error {
	payload, err := payloadOf(image)
	if err != nil {
		return err
	}
	r, err := decompressor(payload)
	if err != nil {
		return err
	}
	n, err := io.Copy(w, io.LimitReader(r, kernel.MaxSize+1))
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	if n > kernel.MaxSize {
		return errors.New("unpacks to more than 512 MiB")
	}
	return nil
}

func payloadOf(image []byte) ([]byte, error) {
	if len(image) < payloadLength+4 || string(image[headerMagic:headerMagic+4]) != "HdrS" {
		return nil, kernel.ErrFormat
	}
	sectors := uint64(image[setupSectors])
	if sectors == 0 {
		sectors = 4
	}
	start := (sectors+1)*512 + uint64(binary.LittleEndian.Uint32(image[payloadOffset:]))
	end := start + uint64(binary.LittleEndian.Uint32(image[payloadLength:]))
	if start > end || end > uint64(len(image)) || end-start < 16 {
		return nil, errors.New("the payload lies outside of the file")
	}
	return image[start:end], nil
}

// decompressor chooses by the first bytes. All but gzip are followed by the
// unpacked size in four bytes, which the kernel's build appends.
func decompressor(payload []byte) (io.Reader, error) {
	body := bytes.NewReader(payload[:len(payload)-4])
	switch {
	case bytes.HasPrefix(payload, []byte("\x02\x21\x4c\x18")): // the legacy frame
		return lz4.NewReader(body), nil
	case bytes.HasPrefix(payload, []byte("\x28\xb5\x2f\xfd")):
		return zstd.NewReader(body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(256<<20))
	case bytes.HasPrefix(payload, []byte("\xfd7zXZ\x00")):
		return xz.NewReader(body)
	case bytes.HasPrefix(payload, []byte("\x1f\x8b")):
		return gzip.NewReader(bytes.NewReader(payload))
	}
	return nil, fmt.Errorf("unknown compression % x", payload[:6])
}

// unpackModule unpacks a kernel module by the ending of its name.
func unpackModule(name string, content []byte) ([]byte, error) {
	var r io.Reader
	var err error
	switch {
	case strings.HasSuffix(name, ".ko"):
		return content, nil
	case strings.HasSuffix(name, ".ko.gz"):
		r, err = gzip.NewReader(bytes.NewReader(content))
	case strings.HasSuffix(name, ".ko.xz"):
		r, err = xz.NewReader(bytes.NewReader(content))
	case strings.HasSuffix(name, ".ko.zst"):
		r, err = zstd.NewReader(bytes.NewReader(content), zstd.WithDecoderConcurrency(1))
	default:
		return nil, fmt.Errorf("%s: no kernel module", name)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	b, err := io.ReadAll(io.LimitReader(r, kernel.MaxSize))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return b, nil
}
