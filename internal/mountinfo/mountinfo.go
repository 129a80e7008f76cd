// Package mountinfo reads the text of /proc/PID/mountinfo (proc(5)). It opens
// nothing.
package mountinfo

import (
	"strconv"
	"strings"
)

// Mount is one mount.
type Mount struct {
	ID      uint64 // statx(2)'s stx_mnt_id
	Type    string // of the file system
	Root    string // the part of the file system that is mounted
	Point   string
	Options string // the super block's: "rw,cpu,cpuacct"
}

// HasOption reports whether the super block has an option.
func (m *Mount) HasOption(name string) bool {
	for o := range strings.SplitSeq(m.Options, ",") {
		if o == name {
			return true
		}
	}
	return false
}

// Parse returns the mounts whose types are wanted, all if none is named; a line
// that is not of the file's form is passed over.
func Parse(text string, wanted ...string) []Mount {
	mounts := make([]Mount, 0, 16)
	for line := range strings.SplitSeq(text, "\n") {
		// 31 23 0:28 / /sys/fs/cgroup rw,relatime shared:1 - cgroup cgroup rw,cpu
		before, after, ok := strings.Cut(line, " - ")
		kind, rest, _ := strings.Cut(after, " ")
		if !ok || len(wanted) > 0 && !among(kind, wanted) {
			continue
		}
		_, options, ok := strings.Cut(rest, " ")
		if !ok {
			continue
		}
		number, before, ok := strings.Cut(before, " ")
		id, err := strconv.ParseUint(number, 10, 64)
		for range 2 {
			_, before, ok = strings.Cut(before, " ")
		}
		top, before, rooted := strings.Cut(before, " ")
		point, _, _ := strings.Cut(before, " ")
		if err != nil || !ok || !rooted || point == "" || point[0] != '/' {
			continue
		}
		mounts = append(mounts, Mount{ID: id, Type: kind, Root: unescape(top), Point: unescape(point), Options: options})
	}
	return mounts
}

func among(kind string, wanted []string) bool {
	for _, w := range wanted {
		if w == kind {
			return true
		}
	}
	return false
}

// unescape undoes the kernel's \ooo for space, tab, newline and backslash.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && isOctal(s[i+1]) && s[i+1] <= '3' && isOctal(s[i+2]) && isOctal(s[i+3]) {
			b = append(b, (s[i+1]-'0')<<6|(s[i+2]-'0')<<3|(s[i+3]-'0'))
			i += 3
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

func isOctal(c byte) bool { return '0' <= c && c <= '7' }
