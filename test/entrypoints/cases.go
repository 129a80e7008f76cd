package entrypoints

import (
	"fmt"
	"runtime"
	"strings"
)

// A Case is an entry point and what must come of it.
type Case struct {
	Name   string
	Args   []string
	Env    []string // nil: PATH=/usr/local/bin:/usr/bin:/bin
	Cwd    string   // "" is /
	UID    uint32
	GID    uint32
	Groups []uint32 // supplementary
	NoCaps bool     // root without capabilities

	// Busy is a path in the root that somebody has open for writing.
	Busy string

	Status int    // 0 if it runs, 126 or 127
	Stdout string // of one that runs
	Has    string // words that the message must hold, separated by |
	// Late is set where the kernel begins to execute the file and kills the
	// process then.
	Late bool
}

// DefaultEnv is the environment of a case that has none.
func DefaultEnv() []string { return []string{"PATH=/usr/local/bin:/usr/bin:/bin"} }

// Environment is Env or the default.
func (c *Case) Environment() []string {
	if c.Env == nil {
		return DefaultEnv()
	}
	return c.Env
}

func path(dirs string) []string { return []string{"PATH=" + dirs} }

// Cases is the table. t says what its file system could hold; its Noexec must be
// mounted noexec on NoexecMountPoint.
func Cases(t *Tree) []Case {
	cases := []Case{
		// Good ones.
		{Name: "a program", Args: []string{"/bin/hello"}, Stdout: "hello\n"},
		{Name: "a program as uid 1000", Args: []string{"/bin/hello"}, UID: 1000, GID: 1000, Stdout: "hello\n"},
		{Name: "a name on PATH", Args: []string{"hello"}, Stdout: "hello\n"},
		{Name: "a link", Args: []string{"/opt/link"}, Stdout: "hello\n"},
		{Name: "a relative link", Args: []string{"/opt/relative-link"}, Stdout: "hello\n"},
		{Name: "a relative path", Args: []string{"./tool"}, Cwd: "/work", Stdout: "work\n"},
		{Name: "a relative path upwards", Args: []string{"../bin/hello"}, Cwd: "/work", Stdout: "hello\n"},
		{Name: "above the root", Args: []string{"/../../bin/hello"}, Stdout: "hello\n"},
		{Name: "mode 0111 as uid 1000", Args: []string{"/opt/mode-111"}, UID: 1000, GID: 1000, Stdout: "secret\n"},
		{Name: "mode 0700 of the user", Args: []string{"/opt/mode-700-user"}, UID: 1000, GID: 1000, Stdout: "hello\n"},
		{Name: "mode 0700 of another, root", Args: []string{"/opt/mode-700-user"}, Stdout: "hello\n"},
		{Name: "setuid", Args: []string{"/opt/mode-4755"}, UID: 1000, GID: 1000, Stdout: "hello\n"},
		{Name: "supplementary group", Args: []string{"/opt/group-750"}, UID: 1000, GID: 1000, Groups: []uint32{2000}, Stdout: "hello\n"},
		{Name: "primary group", Args: []string{"/opt/group-750"}, UID: 1000, GID: 2000, Stdout: "hello\n"},
		{Name: "an unsearchable parent, root", Args: []string{"/opt/closed/hello"}, Stdout: "hello\n"},
		{Name: "an unsearchable parent of its own, root without capabilities", Args: []string{"/opt/closed/hello"}, NoCaps: true, Stdout: "hello\n"},
		{Name: "a name with a space", Args: []string{"/opt/with space"}, Stdout: "hello\n"},
		{Name: "a name with quotes", Args: []string{`/opt/with "quotes"`}, Stdout: "hello\n"},
		{Name: "a script", Args: []string{"/srv/good"}, Stdout: "hello\n"},
		{Name: "a script with an argument", Args: []string{"/srv/argument"}, Stdout: "hello\n"},
		{Name: "a script without a line end", Args: []string{"/srv/no-newline"}, Stdout: "hello\n"},
		{Name: "a script with many blanks", Args: []string{"/srv/long-blanks"}, Stdout: "hello\n"},
		{Name: "five scripts deep", Args: []string{"/srv/chain-5"}, Stdout: "hello\n"},
		{Name: "a relative interpreter", Args: []string{"/srv/relative"}, Cwd: "/work", Stdout: "work\n"},
		{Name: "an unreadable script, root", Args: []string{"/srv/unreadable"}, Stdout: "hello\n"},
		{Name: "a dynamic program", Args: []string{"/opt/dynamic"}, Stdout: "loaded\n"},

		// Kinds and modes.
		{Name: "a directory", Args: []string{"/etc"}, Status: 126, Has: "is a directory: permission denied"},
		{Name: "the root directory", Args: []string{"/"}, Status: 126, Has: "is a directory"},
		{Name: "a dot", Args: []string{"./."}, Status: 126, Has: "is a directory"},
		{Name: "a link to a directory", Args: []string{"/opt/link-to-directory"}, Status: 126, Has: "is a directory"},
		{Name: "mode 0000, root", Args: []string{"/opt/mode-000"}, Status: 126, Has: "mode 0000 has no execute bit"},
		{Name: "mode 0000, uid 1000", Args: []string{"/opt/mode-000"}, UID: 1000, GID: 1000, Status: 126, Has: "mode 0000"},
		{Name: "mode 0644", Args: []string{"/opt/mode-644"}, Status: 126, Has: "mode 0644 has no execute bit|chmod +x"},
		{Name: "mode 0644, a script", Args: []string{"/srv/mode-644"}, Status: 126, Has: "mode 0644|chmod +x"},
		{Name: "mode 0700 of another", Args: []string{"/opt/mode-700"}, UID: 1000, GID: 1000, Status: 126, Has: "uid 1000 may not execute it|mode 0700, owner 0"},
		{Name: "mode 0700 of another, root without capabilities", Args: []string{"/opt/mode-700-user"}, NoCaps: true, Status: 126, Has: "uid 0 may not execute it|owner 1000"},
		{Name: "not in the group", Args: []string{"/opt/group-750"}, UID: 1000, GID: 1000, Status: 126, Has: "group 2000"},
		{Name: "the owner has less than the others", Args: []string{"/opt/mode-055"}, UID: 1000, GID: 1000, Status: 126, Has: "mode 0055, owner 1000"},
		{Name: "an unsearchable parent", Args: []string{"/opt/closed/hello"}, UID: 1000, GID: 1000, Status: 126, Has: "uid 1000 may not search /opt/closed (mode 0700, owner 0)"},
		{Name: "an unsearchable grandparent", Args: []string{"/opt/closed/deep/hello"}, UID: 1000, GID: 1000, Status: 126, Has: "may not search /opt/closed ("},
		{Name: "missing below an unsearchable parent", Args: []string{"/opt/closed/nosuch"}, UID: 1000, GID: 1000, Status: 126, Has: "may not search /opt/closed"},
		{Name: "a link into an unsearchable directory", Args: []string{"/opt/link-to-closed"}, UID: 1000, GID: 1000, Status: 126, Has: "may not search /opt/closed"},
		{Name: "a FIFO", Args: []string{"/opt/fifo"}, Status: 126, Has: "FIFO"},
		{Name: "a character device", Args: []string{"/opt/char"}, Status: 126, Has: "character device"},
		{Name: "a block device", Args: []string{"/opt/block"}, Status: 126, Has: "block device"},
		{Name: "a socket", Args: []string{"/opt/socket"}, Status: 126, Has: "socket"},
		{Name: "a noexec mount", Args: []string{"/data/tool"}, Status: 126, Has: "/data is mounted noexec"},
		{Name: "open for writing", Args: []string{"/opt/busy"}, Busy: "/opt/busy", Status: 126, Has: "text file busy"},
		{Name: "a link out of the root", Args: []string{"/opt/escape"}, Status: 126, Has: "/etc/passwd: mode 0644"},

		// Paths.
		{Name: "missing", Args: []string{"/nosuch"}, Status: 127, Has: "no such file or directory"},
		{Name: "missing parent", Args: []string{"/opt/nosuch/program"}, Status: 127, Has: "/opt/nosuch does not exist"},
		{Name: "another case", Args: []string{"/opt/server"}, Status: 127, Has: `/opt holds "Server"`},
		{Name: "a relative path in another directory", Args: []string{"./tool"}, Status: 127, Has: `exec: "./tool": no such file or directory: /tool does not exist`},
		{Name: "a dangling link", Args: []string{"/opt/dangling"}, Status: 127, Has: `symbolic link to "/nowhere/program"`},
		{Name: "a link to itself", Args: []string{"/opt/loop"}, Status: 126, Has: "symbolic links|/opt/loop"},
		{Name: "two links in a circle", Args: []string{"/opt/loop-a"}, Status: 126, Has: "symbolic links"},
		{Name: "below a file", Args: []string{"/etc/passwd/x"}, Status: 126, Has: "/etc/passwd is a file"},
		{Name: "a slash behind a file", Args: []string{"/bin/hello/"}, Status: 126, Has: "/bin/hello is a file"},
		{Name: "a slash behind a directory", Args: []string{"/etc/"}, Status: 126, Has: "is a directory"},
		{Name: "a name that is too long", Args: []string{"/" + strings.Repeat("x", 300)}, Status: 126, Has: "300 bytes"},
		{Name: "a path that is too long", Args: []string{strings.Repeat("/x", 2500)}, Status: 126, Has: "5000 bytes"},
		{Name: "blanks in one word", Args: []string{"/bin/hello world"}, Status: 127, Has: "args[0] holds a space"},
		{Name: "quotes in the word", Args: []string{`"/bin/hello"`}, Status: 127, Has: `exec: "\"/bin/hello\""|quotes`},
		{Name: "a line end behind it", Args: []string{"/bin/hello\n"}, Status: 127, Has: `"/bin/hello\n"|line end`},
		{Name: "a newline in a refused name", Args: []string{"/opt/with\nnewline"}, Status: 126, Has: `with\nnewline|mode 0644`},
		{Name: "a name that holds an engine's words", Args: []string{"/opt/no such file or directory"}, Status: 126, Has: "mode 0644"},
		{Name: "a missing name that holds an engine's words", Args: []string{"/permission denied"}, Status: 127, Has: "no such file or directory"},
		{Name: "a name that is not UTF-8", Args: []string{"/\xff\xfe\x1b[31m"}, Status: 127, Has: `\xff\xfe\x1b[31m`},

		// PATH.
		{Name: "not on PATH", Args: []string{"nosuch"}, Status: 127, Has: `exec: "nosuch": executable file not found in $PATH`},
		{Name: "an empty name", Args: []string{""}, Status: 127, Has: `exec: "": executable file not found in $PATH|args[0] is empty`},
		{Name: "the first of two", Args: []string{"both"}, Env: path("/path/a:/path/b"), Stdout: "first\n"},
		{Name: "denied, then good", Args: []string{"denied-first"}, Env: path("/path/a:/path/b"), Stdout: "second\n"},
		{Name: "denied only", Args: []string{"denied"}, Env: path("/path/a:/path/b"), Status: 126, Has: "/path/a/denied: mode 0644"},
		{Name: "a directory, then good", Args: []string{"directory-first"}, Env: path("/path/a:/path/b"), Stdout: "second\n"},
		{Name: "a directory only", Args: []string{"directory"}, Env: path("/path/a:/path/b"), Status: 126, Has: "is a directory"},
		{Name: "dangling, then good", Args: []string{"dangling-first"}, Env: path("/path/a:/path/b"), Stdout: "second\n"},
		{Name: "dangling only", Args: []string{"dangling"}, Env: path("/path/a:/path/b"), Status: 127, Has: `executable file not found in $PATH|symbolic link to "nowhere"`},
		{Name: "a looping link, then good", Args: []string{"loop-first"}, Env: path("/path/a:/path/b"), Status: 126, Has: "symbolic links"},
		{Name: "a name on PATH that is too long", Args: []string{strings.Repeat("x", 300)}, Status: 126, Has: "300 bytes"},
		{Name: "foreign, then good", Args: []string{"foreign-first"}, Env: path("/path/a:/path/b"), Status: 126, Has: "built for"},
		{Name: "unsearchable, then good", Args: []string{"shut"}, UID: 1000, GID: 1000, Env: path("/path/closed:/path/b"), Stdout: "second\n"},
		{Name: "unsearchable only", Args: []string{"shut"}, UID: 1000, GID: 1000, Env: path("/path/closed:/bin"), Status: 126, Has: "may not search /path/closed"},
		{Name: "a file and a missing directory on PATH", Args: []string{"both"}, Env: path("/etc/passwd:/nosuch:/path/b"), Stdout: "second\n"},
		{Name: "the last PATH counts", Args: []string{"both"}, Env: []string{"PATH=/path/a", "PATH=/path/b"}, Stdout: "second\n"},
		{Name: "the last PATH is wrong", Args: []string{"hello"}, Env: []string{"PATH=/bin", "PATH=/nosuch"}, Status: 127, Has: "/bin/hello"},
		{Name: "no PATH", Args: []string{"hello"}, Env: []string{}, Status: 127, Has: "PATH is not set"},
		{Name: "an empty PATH", Args: []string{"tool"}, Env: path(""), Cwd: "/work", Status: 127, Has: "executable file not found in $PATH|working directory"},
		{Name: "an empty element of PATH", Args: []string{"tool"}, Env: path("/bin:"), Cwd: "/work", Stdout: "work\n"},
		{Name: "an empty first element of PATH", Args: []string{"tool"}, Env: path(":/bin"), Cwd: "/work", Stdout: "work\n"},
		{Name: "a relative element of PATH", Args: []string{"tool"}, Env: path("work"), Stdout: "work\n"},
		{Name: "denied in the working directory", Args: []string{"plain"}, Env: path("/bin:"), Cwd: "/work", Status: 126, Has: "mode 0644"},
		{Name: "elsewhere than on PATH", Args: []string{"only-here"}, Env: path("/bin"), Status: 127, Has: "/usr/bin/only-here"},
		{Name: "blanks in a name", Args: []string{"hello world"}, Status: 127, Has: "args[0] holds a space"},

		// Scripts.
		{Name: "Windows line ends", Args: []string{"/srv/crlf"}, Status: 127, Has: `"/bin/hello\r"|Windows line endings`},
		{Name: "a missing interpreter", Args: []string{"/srv/missing"}, Status: 127, Has: `its interpreter "/bin/bash" (line 1) does not exist in the image`},
		{Name: "an interpreter that is a directory", Args: []string{"/srv/directory"}, Status: 126, Has: `"/opt/directory"|directory`},
		{Name: "an interpreter without execute bit", Args: []string{"/srv/not-executable"}, Status: 126, Has: `"/etc/passwd"|mode 0644`},
		{Name: "an interpreter out of reach", Args: []string{"/srv/of-closed"}, UID: 1000, GID: 1000, Status: 126, Has: "may not search /opt/closed"},
		{Name: "a dangling interpreter", Args: []string{"/srv/dangling"}, Status: 127, Has: `"/opt/dangling"|"/nowhere/program"`},
		{Name: "an interpreter that is a looping link", Args: []string{"/srv/loop"}, Status: 126, Has: `"/opt/loop"|symbolic links`},
		{Name: "an interpreter below a file", Args: []string{"/srv/below-file"}, Status: 126, Has: "/etc/passwd is a file"},
		{Name: "an empty #! line", Args: []string{"/srv/empty-line"}, Status: 126, Has: "#!"},
		{Name: "a blank #! line", Args: []string{"/srv/blanks"}, Status: 126, Has: "its #! line names no interpreter"},
		{Name: "a #! line that is too long", Args: []string{"/srv/too-long"}, Status: 126, Has: "longer than the 255 bytes"},
		{Name: "a relative interpreter elsewhere", Args: []string{"/srv/relative"}, Status: 127, Has: `"tool"|relative`},
		{Name: "a byte order mark", Args: []string{"/srv/bom"}, Status: 126, Has: "byte order mark"},
		{Name: "UTF-16", Args: []string{"/srv/utf16"}, Status: 126, Has: "UTF-16"},
		{Name: "its own interpreter", Args: []string{"/srv/itself"}, Status: 126, Has: "deep"},
		{Name: "six scripts deep", Args: []string{"/srv/chain-6"}, Status: 126, Has: "deep"},
		{Name: "an interpreter for another machine", Args: []string{"/srv/of-foreign"}, Status: 126, Has: `"/opt/s390x"|built for s390x`},
		{Name: "an interpreter that is a text", Args: []string{"/srv/of-text"}, Status: 126, Has: `"/srv/text"`},
		{Name: "a text", Args: []string{"/srv/text"}, Status: 126, Has: "#!/bin/sh"},
		{Name: "an empty file", Args: []string{"/srv/empty"}, Status: 126, Has: "empty"},
		{Name: "junk", Args: []string{"/srv/binary-junk"}, Status: 126, Has: "exec format error"},

		// ELF.
		{Name: "s390x", Args: []string{"/opt/s390x"}, Status: 126, Has: "built for s390x, this host is " + runtime.GOARCH},
		{Name: "a header only", Args: []string{"/opt/header-only"}, Status: 126, Has: "cut off"},
		{Name: "half a header", Args: []string{"/opt/half-header"}, Status: 126, Has: "cut off"},
		{Name: "four bytes", Args: []string{"/opt/four-bytes"}, Status: 126, Has: "cut off"},
		{Name: "two bytes", Args: []string{"/opt/two-bytes"}, Status: 126, Has: "exec format error"},
		{Name: "cut off", Args: []string{"/opt/truncated"}, Status: 126, Has: "cut off", Late: true},
		{Name: "no segments", Args: []string{"/opt/no-segments"}, Status: 126, Has: "program headers"},
		{Name: "a strange segment size", Args: []string{"/opt/phentsize"}, Status: 126, Has: "program headers"},
		{Name: "an object file", Args: []string{"/opt/object"}, Status: 126, Has: "object file"},
		{Name: "a core dump", Args: []string{"/opt/core"}, Status: 126, Has: "core dump"},
		{Name: "no glibc", Args: []string{"/opt/glibc"}, Status: 127, Has: `"/lib64/ld-linux-test.so.2"|glibc`},
		{Name: "no musl", Args: []string{"/opt/musl"}, Status: 127, Has: `"/lib/ld-musl-test.so.1"|musl`},
		{Name: "a loader that is a directory", Args: []string{"/opt/loader-directory"}, Status: 126, Has: `"/lib"|directory`},
		{Name: "a loader without execute bit", Args: []string{"/opt/loader-plain"}, Status: 126, Has: `"/lib/ld-plain.so"|mode 0644`},
		{Name: "a loader for another machine", Args: []string{"/opt/loader-foreign"}, Status: 126, Has: "built for"},
		{Name: "a loader that is a script", Args: []string{"/opt/loader-script"}, Status: 126, Has: "is not an ELF file"},
		{Name: "a loader's name without end", Args: []string{"/opt/loader-endless"}, Status: 126, Has: "ELF loader"},
		{Name: "a loader's name far behind", Args: []string{"/opt/loader-far"}, Status: 127, Has: `"/lib/ld-far.so"`},
		{Name: "a Windows program", Args: []string{"/opt/windows.exe"}, Status: 126, Has: "Windows program"},
		{Name: "a macOS program", Args: []string{"/opt/macos"}, Status: 126, Has: "macOS"},
	}
	_, foreign := Foreign()
	cases = append(cases, Case{Name: "another machine", Args: []string{"/opt/foreign"}, Status: 126, Has: fmt.Sprintf("built for %s, this host is %s and has no emulator for it", foreign, runtime.GOARCH)})
	if Native() != RISCV64 {
		cases = append(cases, Case{Name: "riscv64", Args: []string{"/opt/riscv64"}, Status: 126, Has: "built for riscv64"})
	}
	if t.ACL {
		cases = append(cases,
			Case{Name: "granted by an access control list", Args: []string{"/opt/acl-granted"}, UID: 1000, GID: 1000, Stdout: "hello\n"},
			Case{Name: "not granted by an access control list", Args: []string{"/opt/acl-granted"}, UID: 1001, GID: 1001, Status: 126, Has: "uid 1001"},
			Case{Name: "refused by an access control list", Args: []string{"/opt/acl-refused"}, UID: 1000, GID: 1000, Status: 126, Has: "access control list"},
		)
	}
	return cases
}
