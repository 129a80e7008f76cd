package prepare

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// administratorsFile says what machines run where neither an annotation nor the
// configuration does: {"kernel": "/path"}.
const administratorsFile = "/etc/ostia/vm.json"

// administratorsKernel is the kernel that the file names, "" for none.
func administratorsKernel() (string, error) {
	f, err := os.Open(administratorsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return "", fmt.Errorf("%s: %w", administratorsFile, err)
	}
	if st.Uid != 0 || st.Mode&0o022 != 0 {
		return "", fmt.Errorf("%s: others than root may write it: chown root, chmod 644", administratorsFile)
	}
	text, err := io.ReadAll(io.LimitReader(f, 1<<16))
	if err == nil {
		var path string
		if path, err = kernelIn(text); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w", administratorsFile, err)
}

// kernelIn reads the file's text. An unknown member is a mistyped one.
func kernelIn(text []byte) (string, error) {
	var c struct{ Kernel string }
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return "", err
	}
	if _, err := d.Token(); err != io.EOF {
		return "", errors.New("something follows the object")
	}
	if c.Kernel != "" && !strings.HasPrefix(c.Kernel, "/") {
		return "", fmt.Errorf("kernel %q: not an absolute path", c.Kernel)
	}
	return c.Kernel, nil
}
