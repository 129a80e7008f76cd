package test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var thousand = flag.Bool("thousand", false, "TestReliability: a thousand containers instead of a sample")

// TestReliability states that what ostia has made is gone when it is deleted,
// whatever happens meanwhile, and that a host that has run out of something
// gets one clear line, has nothing left behind, and works again afterwards.
func TestReliability(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	if alone(t) {
		return
	}
	guest := os.Getenv("OSTIA_GUEST") != ""
	count := 60
	switch {
	case *thousand:
		count = 1000
	case guest:
		count = 16 // ten times slower there
	}
	for _, c := range []struct {
		name string
		try  func(t *testing.T, b *bench, count int)
		host bool // says nothing of the kernel or its cgroups that here does not
	}{
		{"crowd", crowd, false},
		{"killed", killed, false},
		{"little-memory", littleMemory, false},
		{"runtime-without-memory", runtimeWithoutMemory, false},
		{"small-disk", smallDisk, true},
		{"full-disk", fullDisk, true},
		{"few-descriptors", fewDescriptors, true},
		{"read-only", readOnly, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.host && guest && !*thousand {
				t.Skip("on the host only: a guest is slow")
			}
			b := newBench(t, runtimePath(t), c.name)
			b.bundle(t, map[string]any{"/process/rlimits": []any{}})
			before, used := inventory(b.id), kernelMemory()
			started := time.Now()
			c.try(t, b, count)
			b.works(t)
			same(t, b.id, before)
			for name, n := range kernelMemory() {
				t.Logf("%s: %d before, %d after", name, used[name], n)
				if *thousand && n-used[name] > count {
					t.Errorf("%s: %d more", name, n-used[name])
				}
			}
			t.Logf("%.1f s", time.Since(started).Seconds())
		})
	}
}

// workers has 16 workers do something for each of a number of containers.
func (b *bench) workers(count int, do func(b *bench)) {
	numbers := make(chan int)
	var workers sync.WaitGroup
	for range 16 {
		workers.Go(func() {
			for n := range numbers {
				one := *b
				one.id = fmt.Sprintf("%s-%d", b.id, n)
				do(&one)
			}
		})
	}
	for n := range count {
		numbers <- n
	}
	close(numbers)
	workers.Wait()
}

// works requires that a container can be made, used and deleted.
func (b *bench) works(t *testing.T) {
	t.Helper()
	for _, line := range []string{"run -d -b BUNDLE ID", "exec ID true", "delete --force ID"} {
		if out, err := b.ostia(words(line)...); err != nil {
			t.Errorf("afterwards: %s: %v\n%s", line, err, out)
		}
	}
}

// remove deletes the container by force. What that leaves is seen at the end.
func (b *bench) remove(t *testing.T, what string) {
	t.Helper()
	if out, err := b.ostia("delete", "--force", "ID"); err != nil {
		t.Errorf("%s: delete --force: %v\n%s", what, err, out)
	}
}

// refused requires of a command that failed one line with the reason, and the
// status.
func refused(t *testing.T, what, out string, err error, status int, reason string) {
	t.Helper()
	if got := exitStatus(err); got != status {
		t.Errorf("%s: exit status %d, want %d: %s", what, got, status, out)
	}
	if strings.Count(out, "\n") != 1 || !strings.HasPrefix(out, "ostia: ") || !strings.Contains(out, reason) {
		t.Errorf("%s: want one line with %q: %s", what, reason, out)
	}
}

func crowd(t *testing.T, b *bench, count int) {
	b.workers(count, func(b *bench) {
		for _, line := range []string{"create -b BUNDLE ID", "start ID", "exec ID true", "state ID", "list", "kill ID KILL"} {
			if out, err := b.ostia(words(line)...); err != nil {
				t.Errorf("%s: %s: %v\n%s", b.id, line, err, out)
			}
		}
		if !b.settles([]string{"stopped"}) {
			t.Errorf("%s: killed, and is %s", b.id, b.status())
		}
		if out, err := b.ostia("delete", "ID"); err != nil {
			t.Errorf("%s: delete: %v\n%s", b.id, err, out)
		}
	})
}

// killed has the runtime killed at any moment of any command.
func killed(t *testing.T, b *bench, count int) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var number atomic.Uint64
	var hits, all atomic.Int64
	b.workers(count, func(b *bench) {
		random := rand.New(rand.NewPCG(seed, number.Add(1)))
		for _, line := range []string{"create -b BUNDLE ID", "start ID", "run -d -b BUNDLE ID", "exec ID true", "pause ID", "resume ID",
			"kill ID KILL", "delete ID", "run -b BUNDLE ID", "exec -d ID sleep 1000", "delete --force ID"} {
			out, err := b.struck(words(line), time.Duration(random.IntN(30_000))*time.Microsecond)
			all.Add(1)
			switch status := exitStatus(err); {
			case status == -1:
				hits.Add(1)
			case status == 137 && out == "" && line[:4] == "exec":
				// The program was killed with a container whose run was.
			case status != 0 && (strings.Count(out, "\n") != 1 || !strings.HasPrefix(out, "ostia: ")):
				t.Errorf("%s: %s: %v: %s", b.id, line, err, out)
			}
		}
		b.remove(t, b.id)
	})
	t.Logf("%d of %d commands were killed", hits.Load(), all.Load())
	if hits.Load() == 0 {
		t.Error("nothing was killed")
	}
}

// struck runs a command and kills its process after a time, unless it has
// ended.
func (b *bench) struck(words []string, after time.Duration) (string, error) {
	out, err := os.CreateTemp(b.dir, ".out-")
	if err != nil {
		return "", err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	argv := b.argv(words)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return "", err
	}
	strike := time.AfterFunc(after, func() { cmd.Process.Kill() })
	err = cmd.Wait()
	strike.Stop()
	text, _ := os.ReadFile(out.Name())
	return string(text), err
}

// littleMemory gives containers less memory than they need, or just enough.
func littleMemory(t *testing.T, b *bench, count int) {
	if !controller("memory") {
		t.Skip("no cgroup controller memory")
	}
	reason := "memory"
	if cgroup2() {
		// The process is born in the cgroup, and what the kernel cannot allocate
		// there may be any errno.
		reason = ""
	}
	var ends [2]atomic.Int64
	limits := make(chan int, count)
	for n := range count {
		limits <- 4096 * (1 + 100*n/count)
	}
	b.workers(count, func(b *bench) {
		limit := <-limits
		config := b.dir + "/" + b.id + ".json"
		b.configure(t, config, map[string]any{
			"/process/args": words("true"), "/linux/resources/memory": map[string]any{"limit": limit},
		})
		defer os.Remove(config)
		for _, line := range []string{"create -b BUNDLE --config CONFIG ID", "run -b BUNDLE --config CONFIG ID"} {
			what := fmt.Sprintf("memory limit %d: %s", limit, line)
			out, err := b.ostia(words(strings.ReplaceAll(line, "CONFIG", config))...)
			switch {
			case err == nil:
				ends[0].Add(1)
			case line[:3] == "run" && exitStatus(err) == 137 && out == "":
				ends[1].Add(1) // the program had begun
			default:
				ends[1].Add(1)
				refused(t, what, out, err, 125, reason)
			}
			b.remove(t, what)
		}
	})
	t.Logf("%d had enough memory, %d had not", ends[0].Load(), ends[1].Load())
	if ends[0].Load() == 0 || ends[1].Load() == 0 {
		t.Error("want some of both")
	}
}

// runtimeWithoutMemory has the kernel kill runtimes for want of memory.
func runtimeWithoutMemory(t *testing.T, b *bench, count int) {
	if !controller("memory") {
		t.Skip("no cgroup controller memory")
	}
	dir, join, limit := "/sys/fs/cgroup/memory/"+b.id+"-pressure", "tasks", "memory.limit_in_bytes"
	if cgroup2() {
		dir, join, limit = "/sys/fs/cgroup/"+b.id+"-pressure", "cgroup.procs", "memory.max"
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/"+limit, []byte(strconv.Itoa(memoryForSome)), 0); err != nil {
		t.Fatal(err)
	}
	pressed := *b
	pressed.by = []string{"sh", "-c", `echo 0 >"$0" && exec "$@"`, dir + "/" + join}
	var ends [3]atomic.Int64
	pressed.workers(max(16, count/5), func(b *bench) { // each takes long
		for _, line := range []string{"create -b BUNDLE ID", "start ID", "exec ID true", "state ID", "kill ID KILL"} {
			out, err := b.ostia(words(line)...)
			switch status := exitStatus(err); {
			case status == 0:
				ends[0].Add(1)
			case status == 137 || status == -1:
				ends[1].Add(1)
			default:
				ends[2].Add(1)
				if strings.Count(out, "\n") != 1 || !strings.HasPrefix(out, "ostia: ") {
					t.Errorf("%s: %s: %v: %s", b.id, line, err, out)
				}
			}
		}
		b.by = nil
		b.remove(t, b.id)
	})
	t.Logf("commands: %d done, %d killed, %d failed", ends[0].Load(), ends[1].Load(), ends[2].Load())
	if ends[0].Load() == 0 || ends[1].Load() == 0 {
		t.Error("want some that are killed and some that are not")
	}
	for range 50 {
		if err := syscall.Rmdir(dir); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%s still has something in it", dir)
}

// memoryForSome is enough for one runtime at a time but not for sixteen.
const memoryForSome = 8 << 20

// onDisk puts the state folder on a tmpfs of its own with these options.
func (b *bench) onDisk(t *testing.T, flags uintptr, options string) (off func()) {
	t.Helper()
	if err := syscall.Mount("tmpfs", b.root, "tmpfs", flags, options); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := syscall.Unmount(b.root, 0); err != nil {
			t.Error(err)
		}
	}
}

// smallDisk has the disk of the state folder fill at each step of a create.
func smallDisk(t *testing.T, b *bench, _ int) {
	made, full := 0, 0
	for pages := 1; pages <= 4; pages++ {
		for inodes := 1; inodes <= 6; inodes++ {
			off := b.onDisk(t, 0, fmt.Sprintf("size=%dk,nr_inodes=%d", 4*pages, inodes))
			what := fmt.Sprintf("%d pages, %d inodes", pages, inodes)
			out, err := b.ostia("create", "-b", "BUNDLE", "ID")
			if err == nil {
				made++
			} else {
				full++
				refused(t, what, out, err, 125, "no space left on device: make room there")
			}
			b.remove(t, what)
			off()
		}
	}
	t.Logf("%d made, %d refused", made, full)
	if made == 0 || full == 0 {
		t.Error("want some of both")
	}
}

// fullDisk has the disk of the state folder fill when there are containers.
func fullDisk(t *testing.T, b *bench, _ int) {
	defer b.onDisk(t, 0, "size=1m")()
	second := *b
	second.id += "-2"
	for _, line := range []string{"create -b BUNDLE ID"} {
		for _, b := range []*bench{b, &second} {
			if out, err := b.ostia(words(line)...); err != nil {
				t.Fatalf("%s: %v\n%s", line, err, out)
			}
		}
	}
	ballast := b.root + "/.ballast"
	exec.Command("dd", "if=/dev/zero", "of="+ballast, "bs=4k").Run() // fails when it is full
	third := *b
	third.id += "-3"
	out, err := third.ostia("create", "-b", "BUNDLE", "ID")
	refused(t, "create", out, err, 125, "no space left on device: make room there")
	lines := []string{"start ID", "exec ID true", "state ID", "list", "ps ID", "pause ID", "resume ID", "kill ID KILL"}
	for _, line := range lines {
		if out, err := b.ostia(words(line)...); err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
	if controller("cpu") {
		out, err := second.ostia("update", "--cpu-share", "512", "ID")
		refused(t, "update", out, err, 1, "no space left on device: make room there")
	}
	if !b.settles([]string{"stopped"}) {
		t.Errorf("killed, and is %s", b.status())
	}
	for _, b := range []*bench{b, &second} {
		if out, err := b.ostia("delete", "ID"); err != nil {
			t.Errorf("delete: %v\n%s", err, out)
		}
	}
	if err := os.Remove(ballast); err != nil {
		t.Error(err)
	}
	b.works(t)
}

// fewDescriptors gives commands too few descriptors, one more each time.
func fewDescriptors(t *testing.T, b *bench, count int) {
	const reason = "too many open files: raise the limit of open files (ulimit -n)"
	lives := *b
	lives.id += "-lives"
	if out, err := lives.ostia("run", "-d", "-b", "BUNDLE", "ID"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	pid := lives.pid()
	step := 1 + 100/count
	enough := map[string]int{}
	for n := 1; n <= 128; n += step {
		few := *b
		few.by = []string{"prlimit", "--nofile=" + strconv.Itoa(n)}
		for _, line := range []string{"run -d -b BUNDLE ID", "exec ID true", "state ID", "list", "pause ID", "resume ID", "kill ID KILL", "delete --force ID"} {
			if enough[line] > 0 && n > enough[line]+3*step {
				continue
			}
			switch line {
			case "run -d -b BUNDLE ID":
				few.id = b.id
			case "delete --force ID", "kill ID KILL":
				if out, err := b.ostia("run", "-d", "-b", "BUNDLE", "ID"); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				few.id = b.id
			case "resume ID":
				if out, err := lives.ostia("pause", "ID"); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				few.id = lives.id
			default:
				few.id = lives.id
			}
			what := fmt.Sprintf("%s with %d descriptors", line, n)
			out, err := few.ostia(words(line)...)
			switch {
			case err == nil && enough[line] == 0:
				enough[line] = n
			case err != nil && enough[line] > 0:
				t.Errorf("%s: fails, and went with %d: %s", what, enough[line], out)
			case err != nil && (line[:3] == "run" || line[:4] == "exec"):
				refused(t, what, out, err, 125, reason)
			case err != nil:
				_, table, some := strings.Cut(out, "OWNER\n") // what list could still tell
				if some {
					out = table
				}
				refused(t, what, out, err, 1, reason)
			}
			if few.id == b.id {
				b.remove(t, what)
			} else if line == "pause ID" || line == "resume ID" {
				lives.ostia("resume", "ID") // fails if it runs
			}
			if now := lives.pid(); now != pid || lives.status() != "running" {
				t.Fatalf("%s: the container has pid %d, had %d, and is %s", what, now, pid, lives.status())
			}
		}
	}
	for line, n := range enough {
		t.Logf("%s: %d are enough", line, n)
	}
	if len(enough) != 8 {
		t.Error("want all to be done at last")
	}
	lives.remove(t, "at the end")
}

// readOnly has the file system of the state folder turn read-only.
func readOnly(t *testing.T, b *bench, _ int) {
	const reason = "read-only file system: mount it writable, or name another folder with --root"
	defer b.onDisk(t, 0, "size=1m")()
	created := *b
	created.id += "-created"
	for b, line := range map[*bench]string{b: "run -d -b BUNDLE ID", &created: "create -b BUNDLE ID"} {
		if out, err := b.ostia(words(line)...); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
	if err := syscall.Mount("", b.root, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	third := *b
	third.id += "-3"
	out, err := third.ostia("create", "-b", "BUNDLE", "ID")
	refused(t, "create", out, err, 125, reason)
	third.root += "/a/b"
	out, err = third.ostia("run", "-b", "BUNDLE", "ID")
	refused(t, "run", out, err, 125, reason)
	out, err = created.ostia("start", "ID")
	refused(t, "start", out, err, 1, reason)
	if status := created.status(); status != "created" {
		t.Errorf("not started, and is %s", status)
	}
	for _, line := range []string{"exec ID true", "state ID", "list", "pause ID", "resume ID", "kill ID KILL"} {
		if out, err := b.ostia(words(line)...); err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
	out, err = b.ostia("delete", "--force", "ID")
	refused(t, "delete", out, err, 1, reason)
	if err := syscall.Mount("", b.root, "", syscall.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	if out, err := created.ostia("start", "ID"); err != nil {
		t.Errorf("start: %v: %s", err, out)
	}
	created.remove(t, "the created one")
	b.remove(t, "the killed one")
	b.works(t)
}
