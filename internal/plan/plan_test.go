package plan

import (
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"ostia/internal/linux"
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

var update = flag.Bool("update", false, "write testdata/*.golden")

// TestGolden states every op of a plan. A configuration of testdata is compiled
// as create would compile it, but for what its name says: exec- is a process in
// the container, run- has no start to wait for, old- is a kernel before 6.14, and
// tree- one since 7.0. Read the difference, then write it with -update.
func TestGolden(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the numbers of flags are amd64's")
	}
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no configurations", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			in := input(t, name, string(text))
			compile := Compile
			if in.Exec {
				compile = CompileExec
			}
			p, err := compile(in)
			if err != nil {
				t.Fatal(err)
			}
			got := p.Text(linux.SyscallName)
			if strings.Contains(got, "syscall ") {
				t.Error("a system call has no name: add it to internal/linux/names.go")
			}
			golden := "testdata/" + name + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if line, was, is := firstDifference(string(want), got); line > 0 {
				t.Errorf("%s:%d: the plan has changed\nwas: %s\nis:  %s", golden, line, was, is)
			}
		})
	}
}

// input is what the runtime would hand over, with made-up descriptors.
func input(t *testing.T, name, config string) *Input {
	t.Helper()
	s, err := spec.Decode(config)
	if err == nil {
		err = s.Validate()
	}
	if err != nil {
		t.Fatal(err)
	}
	in := &Input{
		Spec: s, Process: s.Process, ID: "golden", Rootfs: "/bundle/rootfs", FDs: NoFDs(3),
		Host: Host{ExecveCheck: !strings.HasPrefix(name, "old-"), Landlock: 5, Cgroups: []Hierarchy{{V2: true, Dir: "/sys/fs/cgroup/golden"}}},
		Exec: strings.HasPrefix(name, "exec-"),
	}
	in.Wait = !in.Exec && !strings.HasPrefix(name, "run-")
	in.Ask = in.Wait
	fds := []*int{&in.FDs.Sync}
	switch {
	case in.Exec:
		fds = append(fds, &in.FDs.PidNS)
	default:
		in.Cloned = BornWith(s)
		if strings.HasPrefix(name, "tree-") {
			if in.Tree = in.TreeSuffices(); !in.Tree {
				t.Fatal("the tree does not suffice")
			}
			in.Cloned &^= unix.CLONE_NEWNS
		}
		fds = append(fds, &in.FDs.Start, &in.FDs.HookState, &in.FDs.HookStdout, &in.FDs.HookStderr)
	}
	if s.Process.Terminal {
		fds = append(fds, &in.FDs.Console)
	}
	next := in.FDs.First
	for _, fd := range fds {
		*fd = next
		next++
	}
	for i := range s.Linux.Namespaces {
		n := &s.Linux.Namespaces[i]
		in.Host.UserNS = in.Host.UserNS || n.Flag == unix.CLONE_NEWUSER
		if n.Path != "" && !in.Exec {
			in.FDs.Join = append(in.FDs.Join, Join{FD: next, Flag: n.Flag, Index: i})
			next++
		}
	}
	in.FDs.Kept = next - 1
	return in
}

func firstDifference(want, got string) (line int, was, is string) {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(a), len(b)) {
		if i < len(a) {
			was = a[i]
		}
		if i < len(b) {
			is = b[i]
		}
		if i >= len(a) || i >= len(b) || was != is {
			return i + 1, was, is
		}
	}
	return 0, "", ""
}
