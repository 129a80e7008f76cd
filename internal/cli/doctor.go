package cli

import (
	"os"

	"ostia/internal/container"
	"ostia/internal/host"
	"ostia/internal/json"
	"ostia/internal/program"
)

var doctorCommand = command{
	name:     "doctor",
	synopsis: "[flags]",
	summary:  "say what this host offers to containers",
	description: "doctor looks at what containers need or can use on this host, for the user who calls it: the kernel, control groups and their " +
		"delegation, ids of /etc/subuid, systemd and its buses, KVM and CRIU. What is not there comes with a line of advice. It changes nothing. " +
		"The exit status is 1 if something is missing without which no container runs.",
	flags: []flag{{name: "format", short: 'f', kind: text, value: "FORMAT", help: "text (default) or json"}},
	run:   doctor,
}

func doctor(in *invocation) (int, error) {
	asJSON, err := jsonOrText(in)
	if err != nil {
		return 0, err
	}
	uid := os.Geteuid()
	list := host.Examine(&host.User{UID: uid, Name: container.UserName(uid), Getenv: os.Getenv})
	status := 0
	for i := range list {
		if list[i].Level == host.Missing {
			status = 1
		}
	}
	if asJSON {
		return status, print(findingsJSON(list))
	}
	return status, print(findingsText(list))
}

func findingsText(list []host.Finding) string {
	rows := make([][]string, len(list))
	for i := range list {
		f := &list[i]
		topic := ""
		if i == 0 || list[i-1].Topic != f.Topic {
			topic = f.Topic
		}
		found := program.OneLine(f.Found)
		if f.Advice != "" {
			found += ": " + f.Advice
		}
		rows[i] = []string{topic, string(f.Level), f.Name, found}
	}
	return table(rows)
}

func findingsJSON(list []host.Finding) string {
	e := json.NewEncoder("  ")
	e.Array(func() {
		for i := range list {
			f := &list[i]
			e.Object(func() {
				e.Key("topic").String(f.Topic)
				e.Key("name").String(f.Name)
				e.Key("level").String(string(f.Level))
				e.Key("found").String(f.Found)
				if f.Advice != "" {
					e.Key("advice").String(f.Advice)
				}
			})
		}
	})
	return string(e.Bytes()) + "\n"
}
