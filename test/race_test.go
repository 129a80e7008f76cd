package test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestRace states that of two commands on one container at once each either
// does its whole work or says why not, and that a state is always readable.
func TestRace(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	runtime := runtimePath(t)
	rounds := 25
	if os.Getenv("OSTIA_GUEST") != "" || testing.Short() {
		rounds = 2 // ten times slower there
	}
	const (
		create = "create -b BUNDLE ID"
		run    = "run -d -b BUNDLE ID"
	)
	for _, c := range []struct {
		name   string
		before []string
		two    [2]string
		wins   []int    // how many of the two may succeed
		alive  []string // statuses of what may be left, "" for none
	}{
		{"create-create", nil, [2]string{create, create}, []int{1}, []string{"created"}},
		{"run-run", nil, [2]string{run, run}, []int{1}, []string{"running"}},
		{"create-run", nil, [2]string{create, run}, []int{1}, []string{"created", "running"}},
		{"start-start", []string{create}, [2]string{"start ID", "start ID"}, []int{1}, []string{"running"}},
		{"start-delete", []string{create}, [2]string{"start ID", "delete ID"}, []int{1}, []string{"running", ""}},
		{"start-force", []string{create}, [2]string{"start ID", "delete --force ID"}, []int{1, 2}, []string{"running", ""}},
		{"start-kill", []string{create}, [2]string{"start ID", "kill ID KILL"}, []int{1, 2}, []string{"stopped"}},
		{"delete-delete", []string{create}, [2]string{"delete ID", "delete ID"}, []int{1}, []string{""}},
		{"force-force", []string{run}, [2]string{"delete --force ID", "delete --force ID"}, []int{1, 2}, []string{""}},
		{"create-force", nil, [2]string{create, "delete --force ID"}, []int{1, 2}, []string{"created", ""}},
		{"run-force", nil, [2]string{run, "delete --force ID"}, []int{1, 2}, []string{"running", ""}},
		{"create-delete", nil, [2]string{create, "delete ID"}, []int{1, 2}, []string{"created", ""}},
		{"exec-force", []string{run}, [2]string{"exec ID true", "delete --force ID"}, []int{1, 2}, []string{""}},
		{"exec-exec", []string{run}, [2]string{"exec ID true", "exec ID true"}, []int{2}, []string{"running"}},
		{"pause-pause", []string{run}, [2]string{"pause ID", "pause ID"}, []int{1}, []string{"paused"}},
		{"pause-force", []string{run}, [2]string{"pause ID", "delete --force ID"}, []int{1, 2}, []string{"paused", ""}},
		{"resume-resume", []string{run, "pause ID"}, [2]string{"resume ID", "resume ID"}, []int{1}, []string{"running"}},
		{"kill-kill", []string{run}, [2]string{"kill ID KILL", "kill ID KILL"}, []int{1, 2}, []string{"stopped"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, runtime, c.name)
			b.bundle(t, nil)
			for round := range rounds {
				for _, line := range c.before {
					if out, err := b.ostia(words(line)...); err != nil {
						t.Fatalf("%s: %v\n%s", line, err, out)
					}
				}
				b.together(t, c.two, round, c.wins)
				if !b.settles(c.alive) {
					t.Errorf("round %d: the status is %q, want one of %q", round, b.status(), c.alive)
				}
				b.clean(t, fmt.Sprintf("round %d", round))
				if t.Failed() {
					return
				}
			}
		})
	}
}

// loses is how the slower command may fail.
var loses = regexp.MustCompile(`already exists|does not exist|not running|is working on this container|` +
	`not in the created state|container not paused|is not stopped|is paused|was killed|in a paused container`)

// together runs two commands at once while a third reads the state.
func (b *bench) together(t *testing.T, two [2]string, round int, wins []int) {
	t.Helper()
	var both sync.WaitGroup
	var out [3]string
	var err [3]error
	for i, line := range two {
		both.Go(func() {
			// Each is sometimes the later one.
			if d := round%5 - 2; d > 0 == (i == 0) {
				time.Sleep(time.Duration(d*d) * time.Millisecond / 2)
			}
			out[i], err[i] = b.ostia(words(line)...)
		})
	}
	both.Go(func() { out[2], err[2] = b.ostia("list") })
	both.Wait()
	won := 0
	for i, line := range two {
		var exit *exec.ExitError
		switch {
		case err[i] == nil:
			won++
		case errors.As(err[i], &exit) && exit.ExitCode() == 137 && out[i] == "" && strings.HasPrefix(line, "exec"):
			// The program had begun and was killed with its container.
		case !errors.As(err[i], &exit) || exit.ExitCode() > 125 || !loses.MatchString(out[i]):
			t.Errorf("round %d: %s: %v: %s", round, line, err[i], out[i])
		case strings.Count(out[i], "\n") != 1:
			t.Errorf("round %d: %s: more than one line: %s", round, line, out[i])
		}
	}
	allowed := false
	for _, n := range wins {
		allowed = allowed || n == won
	}
	if !allowed {
		t.Errorf("round %d: %d succeeded, want %v\n%s: %v %s\n%s: %v %s", round, won, wins, two[0], err[0], out[0], two[1], err[1], out[1])
	}
	if err[2] != nil {
		t.Errorf("round %d: list: %v: %s", round, err[2], out[2])
	}
}

// status is the container's, "" when there is none.
func (b *bench) status() string {
	out, err := b.ostia("state", "ID")
	if err != nil {
		if strings.Contains(out, "does not exist") {
			return ""
		}
		return out
	}
	_, rest, _ := strings.Cut(out, `"status": "`)
	status, _, _ := strings.Cut(rest, `"`)
	return status
}

// settles waits until the status is one of some: a killed process takes a
// moment to end.
func (b *bench) settles(want []string) bool {
	for range 100 {
		status := b.status()
		for _, w := range want {
			if status == w {
				return true
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}
