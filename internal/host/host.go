// Package host says what this host offers a container runtime: its kernel, its
// control groups, what the user may do, and the programs and libraries that
// some commands need. It changes nothing.
package host

import (
	"strconv"
	"strings"

	"ostia/internal/file"

	"golang.org/x/sys/unix"
)

// Level is how good a finding is.
type Level string

// Without what is Missing containers do not run; without what is Absent they
// run without one thing that was not necessarily wanted.
const (
	OK      Level = "ok"
	Absent  Level = "absent"
	Missing Level = "missing"
)

// Finding is one thing that was looked at.
type Finding struct {
	Topic  string // kernel, cgroup, user, session, vm, checkpoint
	Name   string
	Level  Level
	Found  string // what is there, in a few words
	Advice string // what to do, or what goes without it; empty if all is well
}

// User is who would run containers.
type User struct {
	UID    int
	Name   string // as in /etc/passwd
	Getenv func(string) string
}

// Examine looks at everything.
func Examine(u *User) []Finding {
	var e examination
	e.kernel()
	e.cgroups(u)
	e.user(u)
	e.session(u)
	e.vm()
	e.checkpoint(u)
	return e.list
}

// examination is the list under way.
type examination struct {
	topic string
	list  []Finding
}

func (e *examination) add(name string, level Level, found, advice string) {
	if level == OK {
		advice = ""
	}
	e.list = append(e.list, Finding{e.topic, name, level, found, advice})
}

// has is a finding that is there or not.
func (e *examination) has(name string, there bool, otherwise Level, advice string) {
	if there {
		e.add(name, OK, "yes", "")
	} else {
		e.add(name, otherwise, "no", advice)
	}
}

func exists(path string) bool { return unix.Access(path, unix.F_OK) == nil }

// number reads a file that holds one, -1 if there is none.
func number(path string) int {
	text, err := file.Read(path)
	if err != nil {
		return -1
	}
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		return -1
	}
	return n
}
