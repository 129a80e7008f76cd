package agent

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	runtime "ostia/internal/container"
	"ostia/internal/vm/wire"
)

// answer answers a question about the container.
func (a *agent) answer(m *wire.Message) {
	<-a.started
	text, err := ask(m)
	reply := &wire.Message{Kind: wire.Answer, Session: m.Session, Text: text}
	if err != nil {
		reply = &wire.Message{Kind: wire.Failed, Session: m.Session, Reason: err.Error()}
	}
	a.send(reply)
}

func ask(m *wire.Message) (string, error) {
	r := &runtime.Runtime{Root: stateDir, CgroupManager: "cgroupfs", Rootless: "false"}
	switch m.Kind {
	case wire.List:
		pids, err := r.Processes(container)
		if err != nil {
			return "", err
		}
		return table(pids), nil
	case wire.KillAll:
		n, err := strconv.Atoi(m.Text)
		if err != nil {
			return "", err
		}
		return "", r.Kill(container, syscall.Signal(n), true)
	case wire.Update:
		return "", r.Update(container, runtime.Update{Resources: m.Text})
	case wire.Kills:
		return kills()
	}
	return "", errors.ErrUnsupported
}

// kills reads how many processes the OOM killer has ended since the guest began.
func kills() (string, error) {
	text, err := os.ReadFile("/proc/vmstat")
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			return strings.TrimSpace(n), nil
		}
	}
	return "0", err
}

// process is what is told of one.
type process struct {
	uid, pid, parent int // as the container numbers them, 0 for a parent outside
	seconds          int // of processor time
	command          string
}

// table is what ps(1) prints, in its widths.
func table(pids []int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-8s %7s %7s %8s %s\n", "UID", "PID", "PPID", "TIME", "CMD")
	inner := map[int]int{}
	for _, pid := range pids {
		if s, err := status(pid); err == nil {
			inner[pid] = last(s["NSpid"])
		}
	}
	for _, pid := range pids {
		p, err := examine(pid, inner)
		if err != nil {
			continue // it has ended
		}
		fmt.Fprintf(&b, "%-8d %7d %7d %02d:%02d:%02d %s\n", p.uid, p.pid, p.parent, p.seconds/3600, p.seconds/60%60, p.seconds%60, p.command)
	}
	return b.String()
}

func examine(pid int, inner map[int]int) (p process, err error) {
	s, err := status(pid)
	if err != nil {
		return p, err
	}
	dir := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return p, err
	}
	command, err := os.ReadFile(dir + "/cmdline")
	if err != nil {
		return p, err
	}
	// The name in parentheses may hold anything (proc_pid_stat(5)).
	_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
	if f := strings.Fields(rest); len(f) > 12 {
		const hertz = 100 // USER_HZ
		user, _ := strconv.Atoi(f[11])
		system, _ := strconv.Atoi(f[12])
		p.seconds = (user + system) / hertz
	}
	parent, _ := strconv.Atoi(s["PPid"])
	uid, _, _ := strings.Cut(s["Uid"], "\t")
	p.uid, _ = strconv.Atoi(uid)
	p.pid, p.parent = inner[pid], inner[parent]
	p.command = "[" + s["Name"] + "]" // a zombie, as ps has it
	if len(command) > 0 {
		p.command = printable(strings.TrimRight(string(command), "\x00"))
	}
	return p, nil
}

// printable keeps a command to its line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == 0:
			return ' '
		case !strconv.IsPrint(r):
			return '?'
		}
		return r
	}, s)
}

// status is /proc/PID/status.
func status(pid int) (map[string]string, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	fields := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.TrimSpace(value)
	}
	return fields, err
}

// last is the last of a list of numbers.
func last(list string) int {
	f := strings.Fields(list)
	if len(f) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(f[len(f)-1])
	return n
}
