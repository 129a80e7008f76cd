package state

import (
	"errors"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"ostia/internal/cgroup"

	"golang.org/x/sys/unix"
)

func TestValidID(t *testing.T) {
	for id, want := range map[string]bool{
		"a": true, "A": true, "0": true, "_": true, "+": true, "-": true,
		"web-1.example_2+x":        true,
		"a..b":                     true,
		"a.":                       true,
		strings.Repeat("a", 255):   true,
		"":                         false,
		".":                        false,
		"..":                       false,
		".a":                       false,
		"a/b":                      false,
		"/":                        false,
		"../a":                     false,
		"a b":                      false,
		"a\x00":                    false,
		"a\n":                      false,
		"ä":                        false,
		"a\xff":                    false,
		"a:b":                      false,
		"a*":                       false,
		"a%":                       false,
		strings.Repeat("a", 1025):  false,
		strings.Repeat("../", 100): false,
	} {
		if got := ValidID(id); got != want {
			t.Errorf("ValidID(%q) = %v", id, got)
		}
	}
}

func example() *State {
	return &State{
		Version: "1.3.0", ID: "web", Bundle: "/b \"\\\n", Rootfs: "/b/rootfs", RootfsMount: 1 << 63, Created: "2026-11-24T00:00:00.000000001Z",
		Owner: 4294967294, Annotations: map[string]string{"": "", "a.b/c": "\x00\u2028é"},
		NoNewKeyring: true, OwnPidNS: true, OtherTimeNS: true, Poststart: true, Poststop: true,
		Cgroup: &cgroup.Group{Dirs: []cgroup.Dir{
			{Name: "cpu,cpuacct", Controllers: "cpu cpuacct", Mount: "/sys/fs/cgroup/cpu,cpuacct", Path: "/sys/fs/cgroup/cpu,cpuacct/web"},
			{Name: "name=systemd", Mount: "/sys/fs/cgroup/systemd", Path: "/sys/fs/cgroup/systemd/web"},
		}},
	}
}

func TestWriteThenRead(t *testing.T) {
	root := t.TempDir() + "/not/yet"
	d, err := Create(root, "web")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	want := example()
	want.Config = "{\n \"lines\": 2}\n"
	if err := d.Write(want, want.Config); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		got, err := d.Read()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v\ngot  %+v\nwant %+v", err, got, want)
		}
	}
	check()
	want.Pid, want.StartTime = 4194304, 1<<63
	if err := d.WriteProcess(want); err != nil {
		t.Fatal(err)
	}
	check()
	want.Cgroup = nil
	if err := d.Rewrite(want, want.Config); err != nil {
		t.Fatal(err)
	}
	check()
	if err := d.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := View(root, "web"); err != ErrNotExist {
		t.Errorf("removed, and yet: %v", err)
	}
}

// A runtime killed while it wrote leaves part of the state: that is none, and
// the folder can be removed.
func TestReadAllThatAKillLeaves(t *testing.T) {
	d, err := Create(t.TempDir(), "web")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	text := string(example().encode()) + "\n"
	for n := range len(text) {
		if err := os.WriteFile(d.Path()+"/"+stateFile, []byte(text[:n]), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := d.Read(); err != nil || !reflect.DeepEqual(s, &State{ID: "web"}) {
			t.Fatalf("the first %d bytes: %+v, %v", n, s, err)
		}
	}
	// The whole state, and no process yet.
	if err := os.WriteFile(d.Path()+"/"+stateFile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, pid := range []string{"", "7", "7 ", "7 12"} {
		if err := os.WriteFile(d.Path()+"/"+pidFile, []byte(pid), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := d.Read(); err != nil || s.Cgroup == nil || s.Pid != 0 {
			t.Errorf("pid file %q: pid %d, %v", pid, s.Pid, err)
		}
	}
	if fd, err := d.MakeFifo(); err != nil {
		t.Error(err)
	} else {
		unix.Close(fd)
	}
	if err := d.create(stateFile+".new", nil); err != nil {
		t.Error(err)
	}
	if err := d.Remove(); err != nil {
		t.Errorf("remove: %v", err)
	}
}

// A reader without the lock sees one whole state or another.
func TestRewriteIsAtomic(t *testing.T) {
	root := t.TempDir()
	d, err := Create(root, "web")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	states := [2]State{*example(), *example()}
	states[1].Cgroup, states[1].Bundle = nil, strings.Repeat("/b", 2000)
	config := strings.Repeat("{}", 5000)
	if err := d.Write(&states[0], config); err != nil {
		t.Fatal(err)
	}
	states[0].Config, states[1].Config = config, config
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				v, err := View(root, "web")
				if err != nil {
					t.Error(err)
					return
				}
				s, err := v.Read()
				v.Close()
				if err != nil || !reflect.DeepEqual(s, &states[0]) && !reflect.DeepEqual(s, &states[1]) {
					t.Errorf("%v, %.200v", err, s)
					return
				}
			}
		})
	}
	for i := range 500 {
		if err := d.Rewrite(&states[i%2], states[i%2].Config); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	readers.Wait()
}

func TestOneLock(t *testing.T) {
	root := t.TempDir()
	d, err := Create(root, "web")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Create(root, "web"); err != ErrExist {
		t.Errorf("a second create: %v", err)
	}
	if _, err := Open(root, "web"); err != ErrBusy {
		t.Errorf("open while locked: %v", err)
	}
	if err := d.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(root, "web"); err != ErrNotExist {
		t.Errorf("open of what was removed: %v", err)
	}
	d.Close()
}

// Many that create, open and remove the same id: never do two have it.
func TestLockUnderContention(t *testing.T) {
	root := t.TempDir()
	var holder sync.Mutex
	var workers sync.WaitGroup
	for i := range 8 {
		workers.Go(func() {
			for n := range 300 {
				open := Create
				if (i+n)%2 == 0 {
					open = Open
				}
				d, err := open(root, "web")
				if errors.Is(err, ErrExist) || errors.Is(err, ErrBusy) || errors.Is(err, ErrNotExist) {
					continue
				}
				if err != nil {
					t.Errorf("round %d: %v", n, err)
					return
				}
				if !holder.TryLock() {
					t.Error("two have the lock")
					return
				}
				if err := d.create(stateFile, []byte("x")); err != nil {
					t.Errorf("the folder is gone under its lock: %v", err)
				}
				holder.Unlock() // before the lock goes, and with the folder it goes
				if n%3 == 0 {
					if err := d.Remove(); err != nil {
						t.Errorf("remove: %v", err)
					}
				}
				d.Close()
			}
		})
	}
	workers.Wait()
}

func TestStartTimeOfThisProcess(t *testing.T) {
	ticks, letter, err := StartTime(os.Getpid())
	if err != nil || ticks == 0 || !strings.ContainsRune("RS", rune(letter)) {
		t.Errorf("%d %q %v", ticks, letter, err)
	}
	s := State{Pid: os.Getpid(), StartTime: ticks}
	if alive, err := s.Alive(); !alive {
		t.Error("not alive", err)
	}
	s.StartTime++ // another process that has got the number
	if alive, err := s.Alive(); alive || err != nil {
		t.Error("with another start time", alive, err)
	}
	if fd, err := s.Process(); err != unix.ESRCH {
		t.Errorf("descriptor %d, %v", fd, err)
	}
}

// TestNumberOfAThread: the number of a first process that has ended may be that
// of somebody's thread by now.
func TestNumberOfAThread(t *testing.T) {
	tid, done := make(chan int), make(chan bool)
	defer close(done)
	for range 2 { // one of them is not the first thread
		go func() {
			runtime.LockOSThread()
			tid <- unix.Gettid()
			<-done
		}()
	}
	s := State{Pid: <-tid, StartTime: 1}
	if other := <-tid; s.Pid == os.Getpid() {
		s.Pid = other
	}
	if fd, err := s.Process(); err != unix.ESRCH {
		t.Errorf("descriptor %d, %v", fd, err)
	}
}

func stat(command string, ticks uint64) string {
	return "17 (" + command + ") S 1 17 17 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 " + strconv.FormatUint(ticks, 10) + " 1000 1 2\n"
}

func TestParseStat(t *testing.T) {
	for _, command := range []string{"sh", "", ") Z 1 2", "(()", "a\nb", ") S 1 17 17 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 9 1"} {
		if ticks, letter, err := parseStat(stat(command, 123456789012)); ticks != 123456789012 || letter != 'S' || err != nil {
			t.Errorf("%q: %d %q %v", command, ticks, letter, err)
		}
	}
	for _, text := range []string{"", ")", "17 (sh)", "17 (sh) S 1 2", "17 sh S 1 17 17 0 -1 1 1 2 3 4 5 6 7 8 20 0 1 0 5 1", stat("sh", 1)[:40]} {
		if ticks, _, err := parseStat(text); err == nil {
			t.Errorf("%q: %d", text, ticks)
		}
	}
}
