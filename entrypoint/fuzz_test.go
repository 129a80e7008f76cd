package entrypoint

import (
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"ostia/test/entrypoints"
)

// kernelInterpreter is load_script of the kernel's fs/binfmt_script.c by
// index, to compare with: "" and false for ENOEXEC.
func kernelInterpreter(file []byte) (string, bool) {
	var buf [256]byte
	copy(buf[:], file)
	blank := func(c byte) bool { return c == ' ' || c == '\t' }
	nonBlank := func(first, last int) int {
		for ; first <= last; first++ {
			if !blank(buf[first]) {
				return first
			}
		}
		return -1
	}
	terminator := func(first, last int) int {
		for ; first <= last; first++ {
			if blank(buf[first]) || buf[first] == 0 {
				return first
			}
		}
		return -1
	}
	last := len(buf) - 1
	end := -1
	for i := 0; i < len(buf) && buf[i] != 0; i++ {
		if buf[i] == '\n' {
			end = i
			break
		}
	}
	if end < 0 {
		if end = nonBlank(2, last); end < 0 || terminator(end, last) < 0 {
			return "", false
		}
		end = last
	}
	for blank(buf[end-1]) {
		end--
	}
	name := nonBlank(2, end)
	if name < 0 || name == end {
		return "", false
	}
	stop := end
	if sep := terminator(name, end); sep >= 0 {
		stop = sep
	}
	path, _, _ := strings.Cut(string(buf[name:stop]), "\x00")
	return path, true
}

func FuzzInterpreter(f *testing.F) {
	for _, s := range []string{
		"#!/bin/sh\n", "#!/bin/sh", "#! /bin/sh -e \n", "#!\n", "#! \t\n", "#!/bin/sh\r\n", "#!a\x00b\n", "#!\x00\n",
		"#!" + strings.Repeat(" ", 254), "#!" + strings.Repeat(" ", 253) + "x", "#!" + strings.Repeat("x", 254),
		"#!" + strings.Repeat("x", 253) + "\n", "#!" + strings.Repeat("x", 252) + " \n", "#!" + strings.Repeat(" ", 250) + "/x\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		b = append([]byte("#!"), strings.TrimPrefix(string(b), "#!")...)
		path, _, ok := interpreter(b)
		wantPath, want := kernelInterpreter(b)
		if ok != want || path != wantPath {
			t.Errorf("%q: %q %v, the kernel %q %v", b, path, ok, wantPath, want)
		}
	})
}

// oneFile is a prober with a single executable file, which is its own
// interpreter and loader too.
type oneFile []byte

func (o oneFile) Probe(string) Probe {
	return Probe{Head: o[:min(len(o), HeadSize)], Size: int64(len(o))}
}

func (o oneFile) ReadRange(_ string, offset int64, n int) []byte {
	if offset > int64(len(o)) {
		return nil
	}
	return o[offset:min(int64(len(o)), offset+int64(n))]
}

func FuzzFormat(f *testing.F) {
	for _, m := range []uint16{entrypoints.AMD64, entrypoints.ARM64, entrypoints.RISCV64, entrypoints.S390X, entrypoints.I386} {
		p := entrypoints.Program(m, "hello\n")
		f.Add(p, "amd64")
		f.Add(p[:60], "arm64")
		f.Add(entrypoints.Dynamic(m, "/lib/ld.so"), "riscv64")
	}
	f.Add([]byte("#!/bin/sh\n"), "amd64")
	f.Add([]byte{}, "")
	f.Fuzz(func(t *testing.T, b []byte, arch string) {
		h := &Host{Arch: arch, Try: func([]byte) bool { return true }}
		v := Judge(oneFile(b), h, []string{"/x"}, nil)
		switch {
		case v.Status == 0 && v.Err() != nil, v.Status != 0 && v.Errno == 0:
			t.Errorf("%+v", v)
		case v.Status == NotFound && v.Errno != syscall.ENOENT:
			t.Errorf("%+v", v)
		case v.Status != 0:
			checkMessage(t, v.Error(), v.Status)
		}
		neverRuns(b)
	})
}

func FuzzHandler(f *testing.F) {
	f.Add("enabled\ninterpreter /usr/bin/qemu-aarch64\nflags: OCF\noffset 0\nmagic 7f454c46\nmask ffffffff\n", []byte("\x7fELF"))
	f.Add("enabled\ninterpreter /usr/bin/java\nflags: \nextension .jar\n", []byte("PK"))
	f.Add("disabled\ninterpreter /x\nflags: \noffset 4\nmagic 00\n", []byte("12345"))
	f.Add("enabled\noffset -1\nmagic 0\n", []byte{})
	f.Fuzz(func(t *testing.T, text string, head []byte) {
		h, ok := parseHandler("x", text)
		matched := h.matches("/a.jar", head)
		if ok && h.Extension == "" && len(h.Magic) == 0 {
			t.Errorf("%q matches by nothing", text)
		}
		if matched && !ok && h.Name == "" {
			t.Errorf("%q was not understood and matches", text)
		}
	})
}

func FuzzQuote(f *testing.F) {
	for _, s := range []string{"/bin/sh", "a\nb", "\xff", "no such file or directory", "PERMISSION DENIED", "\u202e", strings.Repeat("é", 200), strings.Repeat("\x01", 100)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q := quote(s)
		if back, err := strconv.Unquote(q); err != nil || len(strconv.Quote(s)) <= maxName && back != s {
			t.Errorf("%q became %s: %v", s, q, err)
		}
		if !utf8.ValidString(q) || len(q) > 4*(maxName+5) {
			t.Errorf("%q became %q", s, q)
		}
		for _, m := range matched {
			if strings.Contains(strings.ToLower(q), m) {
				t.Errorf("%s holds %q", q, m)
			}
		}
		checkMessage(t, FromErrno(s, s, syscall.ENOENT).Error(), NotFound)
		checkMessage(t, FromErrno(s, s, syscall.EACCES).Error(), CannotRun)
		checkMessage(t, (&Verdict{Name: s, Status: CannotRun, Reason: plain(s)}).Error(), CannotRun)
	})
}

func FuzzFileCapabilities(f *testing.F) {
	f.Add([]byte{1, 0, 0, 2, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, uint64(0), uint64(0))
	f.Add([]byte{1, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, uint64(1), uint64(0))
	f.Fuzz(func(t *testing.T, attribute []byte, bounding, inheritable uint64) {
		set := excess(attribute, bounding, inheritable)
		if set&bounding != 0 {
			t.Errorf("%x is in the bounding set %x", set, bounding)
		}
		if s := excessive(set); len(s) > 200 {
			t.Error(s)
		}
	})
}
