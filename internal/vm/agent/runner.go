package agent

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"ostia/entrypoint"
	runtime "ostia/internal/container"
	"ostia/internal/json"
)

// outcome is what a runner tells the agent.
type outcome struct {
	PID    int
	Reason string // why the process did not start
	Status int    // and the exit status for that
}

func (o *outcome) text() []byte {
	e := json.NewEncoder("")
	e.Object(func() {
		e.Key("pid").Int(int64(o.PID))
		e.Key("reason").String(o.Reason)
		e.Key("status").Int(int64(o.Status))
	})
	return e.Bytes()
}

func parseOutcome(text string) (o outcome, err error) {
	d := json.NewDecoder(text)
	d.Object(func(key string) {
		switch key {
		case "pid":
			o.PID = int(d.Int(32))
		case "reason":
			o.Reason = d.String()
		case "status":
			o.Status = int(d.Int(32))
		default:
			d.Skip()
		}
	})
	return o, d.End()
}

// The runner's arguments: `runner run CONSOLE`, `runner exec CONSOLE PROCESS`;
// CONSOLE is a socket's path or empty. The outcome goes to descriptor 3.
const (
	RunnerName = "ostia-runner"
	outcomeFD  = 3
)

// Runner starts a process by the namespace handler, as a process of its own
// because its stdio becomes the container's, and returns an exit status. The
// process that it leaves becomes the agent's child.
func Runner(args []string) int {
	pidFile := "/run/pid." + strconv.Itoa(os.Getpid())
	r := &runtime.Runtime{Root: stateDir, CgroupManager: "cgroupfs", Rootless: "false"}
	var err error
	switch {
	case len(args) == 2 && args[0] == "run":
		_, err = r.Run(runtime.CreateOptions{ID: container, Bundle: bundleDir, Detach: true, ConsoleSocket: args[1], PidFile: pidFile, NoNewKeyring: true})
	case len(args) == 3 && args[0] == "exec":
		_, err = r.Exec(container, runtime.ExecOptions{Process: args[2], Detach: true, ConsoleSocket: args[1], PidFile: pidFile})
	default:
		err = errors.New("runner: wrong arguments")
	}
	o := outcome{}
	if err == nil {
		var text []byte
		if text, err = os.ReadFile(pidFile); err == nil {
			o.PID, err = strconv.Atoi(strings.TrimSpace(string(text)))
			_ = os.Remove(pidFile) // only memory
		}
	}
	if err != nil {
		o.Reason, o.Status = err.Error(), 125
		var verdict *entrypoint.Verdict
		if errors.As(err, &verdict) {
			o.Status = verdict.Status
		}
	}
	if _, err = os.NewFile(outcomeFD, "outcome").Write(o.text()); err != nil {
		return 1
	}
	return 0
}
