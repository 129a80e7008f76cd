package entrypoint

import "strings"

// bufferSize is BINPRM_BUF_SIZE: how much of a file the kernel looks at to tell
// its format, 256 bytes since Linux 5.1.
const bufferSize = 256

// maxInterpreters is how often a file may name another one as its interpreter
// before execve(2) fails with ELOOP (exec_binprm in the kernel's fs/exec.c).
const maxInterpreters = 5

// interpreter is the path in the #! line at the beginning of a file, as
// load_script of the kernel's fs/binfmt_script.c finds it. ok is false if the
// kernel would say ENOEXEC: the line is empty, or cut off within the path.
func interpreter(head []byte) (path, argument string, ok bool) {
	var b [bufferSize]byte // a shorter file is followed by NULs, as in the kernel
	copy(b[:], head)
	line := string(b[2:])
	end := strings.IndexByte(line, '\n')
	if nul := strings.IndexByte(line, 0); nul >= 0 && nul < end {
		end = -1 // the kernel's search for the newline ends there
	}
	if end < 0 {
		if !strings.ContainsAny(strings.TrimLeft(line, " \t"), " \t\x00") {
			return "", "", false
		}
		end = len(line) - 1
	}
	line = strings.Trim(line[:end], " \t")
	if line == "" {
		return "", "", false
	}
	sep := strings.IndexAny(line, " \t\x00")
	if sep < 0 {
		return line, "", true
	}
	if line[sep] != 0 {
		argument = strings.TrimLeft(line[sep:], " \t")
		if nul := strings.IndexByte(argument, 0); nul >= 0 {
			argument = argument[:nul]
		}
	}
	return line[:sep], argument, true
}
