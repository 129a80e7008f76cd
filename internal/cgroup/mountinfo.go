package cgroup

import "strings"

// mount is one mount of a cgroup file system, from /proc/PID/mountinfo.
type mount struct {
	v2      bool
	root    string // the part of the hierarchy that is mounted
	point   string
	options string // the super block's: "rw,cpu,cpuacct"
}

func (m *mount) hasOption(name string) bool {
	for o := range strings.SplitSeq(m.options, ",") {
		if o == name {
			return true
		}
	}
	return false
}

// parseMountinfo returns the cgroup mounts of a mountinfo file (proc(5)); a
// line that is not of its form is passed over.
func parseMountinfo(text string) []mount {
	mounts := make([]mount, 0, 16)
	for line := range strings.SplitSeq(text, "\n") {
		// 31 23 0:28 / /sys/fs/cgroup rw,relatime shared:1 - cgroup cgroup rw,cpu
		before, after, ok := strings.Cut(line, " - ")
		if !ok || !strings.HasPrefix(after, "cgroup") {
			continue
		}
		kind, rest, _ := strings.Cut(after, " ")
		_, options, ok := strings.Cut(rest, " ")
		if !ok || kind != "cgroup" && kind != "cgroup2" {
			continue
		}
		for range 3 {
			_, before, ok = strings.Cut(before, " ")
		}
		top, before, rooted := strings.Cut(before, " ")
		point, _, _ := strings.Cut(before, " ")
		if !ok || !rooted || point == "" || point[0] != '/' {
			continue
		}
		mounts = append(mounts, mount{v2: kind == "cgroup2", root: unescape(top), point: unescape(point), options: options})
	}
	return mounts
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
