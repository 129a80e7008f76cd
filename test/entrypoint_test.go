package test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"ostia/test/entrypoints"
)

var everyWay = flag.Bool("every-way", false, "TestEntryPoints in the guest: each case in every way, not in one of them")

// TestEntryPoints starts every entry point of the table in every way there is
// to start one; in the guest, which is slow, in one of the ways.
func TestEntryPoints(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	b := newEntryPointBench(t)
	ways := []struct {
		name  string
		start func(*attempt, *testing.T)
		exec  bool
	}{
		{"run", (*attempt).run, false},
		{"create", (*attempt).create, false},
		{"run with a terminal", (*attempt).runInTerminal, false},
		{"create with a terminal", (*attempt).createInTerminal, false},
		{"exec", (*attempt).exec, true},
		{"exec detached", (*attempt).execDetached, true},
		{"exec with a terminal", (*attempt).execInTerminal, true},
	}
	for n, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			g := b.group(t, way.exec)
			t.Run("cases", func(t *testing.T) {
				for i, c := range b.cases {
					if os.Getenv("OSTIA_GUEST") != "" && !*everyWay && i%len(ways) != n {
						continue
					}
					t.Run(c.Name, func(t *testing.T) {
						t.Parallel()
						way.start(g.attempt(t, i, &c), t)
					})
				}
			})
			g.end(t)
		})
	}
}

// entryPointBench is what all ways share: the tree, the table, the runtime.
type entryPointBench struct {
	dir     string
	runtime string
	machine bool // the runtime's containers are virtual machines
	tree    *entrypoints.Tree
	cases   []entrypoints.Case
	groups  int
}

func newEntryPointBench(t *testing.T) *entryPointBench {
	dir, err := os.MkdirTemp("", "ostia-entrypoints-")
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	check(t, os.Chmod(dir, 0o755))
	b := &entryPointBench{dir: dir, runtime: runtimePath(t)}
	b.machine = filepath.Base(b.runtime) == "krun"
	b.tree, err = entrypoints.Build(dir)
	check(t, err)
	for _, c := range entrypoints.Cases(b.tree) {
		if utf8.ValidString(c.Args[0]) { // config.json cannot hold another
			b.cases = append(b.cases, c)
		}
	}
	return b
}

// entryPointGroup is one way to start an entry point: a state folder of its
// own, and a running container if the way is exec.
type entryPointGroup struct {
	*entryPointBench
	id, root, work string
	holder         string // id of the container to exec in
}

func (b *entryPointBench) group(t *testing.T, exec bool) *entryPointGroup {
	b.groups++
	g := &entryPointGroup{entryPointBench: b, id: fmt.Sprintf("%s-%d", filepath.Base(b.dir), b.groups)}
	g.work = filepath.Join(b.dir, strconv.Itoa(b.groups))
	g.root = filepath.Join(g.work, "state")
	check(t, os.MkdirAll(g.root, 0o700))
	if exec {
		g.hold(t)
	}
	return g
}

// hold starts the container in which exec is to run.
func (g *entryPointGroup) hold(t *testing.T) {
	busybox := os.Getenv("BUSYBOX")
	if busybox == "" {
		var err error
		busybox, err = exec.LookPath("busybox")
		check(t, err)
	}
	content, err := os.ReadFile(busybox)
	check(t, err)
	sbin := filepath.Join(g.tree.Root, "sbin")
	check(t, os.MkdirAll(sbin, 0o755))
	if _, err := os.Stat(sbin + "/busybox"); err != nil {
		check(t, os.WriteFile(sbin+"/busybox", content, 0o755))
	}
	bundle := filepath.Join(g.work, "holder")
	c := entrypoints.Case{Args: []string{"/sbin/busybox", "sleep", "1000"}}
	writeJSON(t, bundle+"/config.json", g.config(&c, false))
	g.holder = g.id + "-holder"
	if err := exec.Command(g.runtime, "--root", g.root, "--log", bundle+"/log", "run", "--detach", "--bundle", bundle, g.holder).Run(); err != nil {
		log, _ := os.ReadFile(bundle + "/log")
		t.Fatalf("run of the container for exec: %v, %s", err, log)
	}
}

// end removes the container for exec and looks for what else is left.
func (g *entryPointGroup) end(t *testing.T) {
	if g.holder != "" {
		if out, err := exec.Command(g.runtime, "--root", g.root, "delete", "--force", g.holder).CombinedOutput(); err != nil {
			t.Errorf("delete: %v, %s", err, out)
		}
	}
	if found := leftovers(g.dir, g.root, g.id); len(found) > 0 {
		sweep(g.runtime, g.dir, g.root, g.id)
		t.Errorf("left behind:\n\t%s", strings.Join(found, "\n\t"))
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
