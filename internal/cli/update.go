package cli

import (
	"strconv"
	"strings"

	"ostia/internal/container"
	"ostia/internal/file"
	"ostia/internal/json"
)

var updateCommand = command{
	name:     "update",
	synopsis: "[flags] CONTAINER",
	summary:  "change a container's limits",
	description: "update changes the limits of a container that is created, running or paused. --resources reads a linux.resources object as in " +
		"config.json, from a file or with - from standard input: a member that is absent changes nothing, and device rules are ignored, as in " +
		"runc. The other flags are single members of that object; they and --resources exclude each other. SIZE is a number of bytes, or one " +
		"with k, m, g, t or p behind it; -1 is no limit. When one limit is refused, none is changed.",
	flags: []flag{
		{name: "resources", short: 'r', kind: text, value: "FILE", help: "read the limits from FILE, - is standard input"},
		{name: "blkio-weight", kind: text, value: "N", help: "I/O weight, 10 to 1000"},
		{name: "cpu-period", kind: text, value: "MICROSECONDS", help: "CPU period"},
		{name: "cpu-quota", kind: text, value: "MICROSECONDS", help: "CPU time in each period; -1 is no limit"},
		{name: "cpu-burst", kind: text, value: "MICROSECONDS", help: "CPU time that may be saved up"},
		{name: "cpu-share", kind: text, value: "N", help: "CPU shares, 2 to 262144; 1024 is the usual"},
		{name: "cpu-rt-period", kind: text, value: "MICROSECONDS", help: "period of the real-time scheduler (cgroup v1)"},
		{name: "cpu-rt-runtime", kind: text, value: "MICROSECONDS", help: "real-time CPU time in each period (cgroup v1)"},
		{name: "cpuset-cpus", kind: text, value: "LIST", help: "CPUs to use: 0-3,7"},
		{name: "cpuset-mems", kind: text, value: "LIST", help: "memory nodes to use"},
		{name: "cpu-idle", kind: text, value: "0|1", help: "1 is SCHED_IDLE for the whole cgroup"},
		{name: "memory", kind: text, value: "SIZE", help: "memory limit"},
		{name: "memory-reservation", kind: text, value: "SIZE", help: "memory that is not reclaimed under pressure (v2), or a soft limit (v1)"},
		{name: "memory-swap", kind: text, value: "SIZE", help: "limit of memory and swap together"},
		{name: "kernel-memory", kind: text, value: "SIZE", help: "ignored, with a warning: --memory counts the kernel's memory too"},
		{name: "kernel-memory-tcp", kind: text, value: "SIZE", help: "limit of TCP's buffers, on cgroup v1"},
		{name: "pids-limit", kind: text, value: "N", help: "number of processes and threads; -1 is no limit"},
		{name: "l3-cache-schema", kind: text, value: "LINE", help: "line of the resctrl schemata, like L3:0=7f0;1=1f"},
		{name: "mem-bw-schema", kind: text, value: "LINE", help: "line of the resctrl schemata, like MB:0=20;1=70"},
	},
	min: 1, max: 1,
	run: updateLimits,
}

func updateLimits(in *invocation) (int, error) {
	r, err := newRuntime(in)
	if err != nil {
		return 0, err
	}
	resources, err := resourcesOf(in)
	if err != nil {
		return 0, err
	}
	return 0, r.Update(in.args[0], container.Update{
		Resources: resources, L3CacheSchema: in.text("l3-cache-schema"), MemBwSchema: in.text("mem-bw-schema"),
	})
}

// resourcesOf is the update as the text of a linux.resources object.
func resourcesOf(in *invocation) (string, error) {
	limits, err := limitsOf(in)
	if err != nil || !in.given("resources") {
		return limits, err
	}
	if limits != "{}" {
		return "", usageError("update: --resources and flags for single limits exclude each other: write them into the file")
	}
	text, err := readInput(in.text("resources"))
	if err != nil {
		return "", &failure{"update: --resources", err}
	}
	return text, nil
}

// readInput reads a file; - is standard input.
func readInput(path string) (text string, err error) {
	if path == "-" {
		text, err = file.ReadAll(0)
	} else {
		text, err = file.Read(path)
	}
	if err != nil {
		return "", &failure{path, err}
	}
	return text, nil
}

// section is one member of linux.resources and the flags for it.
type section struct {
	name   string
	limits []limit
}

type limit struct {
	flag, member string
	read         func(string) (string, bool) // JSON of a value
	want         string
}

func sections() []section {
	const signed, unsigned, size = "a whole number", "a whole number of 0 or more", "a size like 100m, a number of bytes, or -1 for no limit"
	return []section{
		{"blockIO", []limit{{"blkio-weight", "weight", natural, unsigned}}},
		{"cpu", []limit{
			{"cpu-period", "period", natural, unsigned}, {"cpu-quota", "quota", integer, signed},
			{"cpu-burst", "burst", natural, unsigned}, {"cpu-share", "shares", natural, unsigned},
			{"cpu-rt-period", "realtimePeriod", natural, unsigned}, {"cpu-rt-runtime", "realtimeRuntime", integer, signed},
			{"cpuset-cpus", "cpus", quoted, ""}, {"cpuset-mems", "mems", quoted, ""},
			{"cpu-idle", "idle", integer, signed},
		}},
		{"memory", []limit{
			{"memory", "limit", byteSize, size}, {"memory-reservation", "reservation", byteSize, size}, {"memory-swap", "swap", byteSize, size},
			{"kernel-memory", "kernel", byteSize, size}, {"kernel-memory-tcp", "kernelTCP", byteSize, size},
		}},
		{"pids", []limit{{"pids-limit", "limit", integer, signed}}},
	}
}

// limitsOf is what the flags for single limits say. An empty value is as if
// the flag were not there, as with runc.
func limitsOf(in *invocation) (text string, err error) {
	e := json.NewEncoder("")
	e.Object(func() {
		for _, s := range sections() {
			var given []limit
			for _, l := range s.limits {
				if in.text(l.flag) != "" {
					given = append(given, l)
				}
			}
			if len(given) == 0 {
				continue
			}
			e.Key(s.name).Object(func() {
				for _, l := range given {
					value, ok := l.read(in.text(l.flag))
					if !ok && err == nil {
						err = usageError("update: --" + l.flag + " " + in.text(l.flag) + ": not " + l.want)
					}
					e.Key(l.member).Raw(value)
				}
			})
		}
	})
	return string(e.Bytes()), err
}

func natural(s string) (string, bool) {
	n, err := strconv.ParseUint(s, 10, 64)
	return strconv.FormatUint(n, 10), err == nil
}

func integer(s string) (string, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return strconv.FormatInt(n, 10), err == nil
}

func quoted(s string) (string, bool) { return string(json.AppendString(nil, s)), true }

// byteSize reads a size as runc and Docker do: 1024, 100m, 1.5 GiB, -1.
func byteSize(s string) (string, bool) {
	if s == "-1" {
		return s, true
	}
	digits := strings.TrimRight(s, "bBiIkKmMgGtTpP ")
	unit := strings.ToLower(strings.TrimPrefix(s[len(digits):], " "))
	unit = strings.TrimSuffix(strings.TrimSuffix(unit, "b"), "i")
	shift := 0
	if unit != "" {
		i := strings.Index("kmgtp", unit)
		if i < 0 || len(unit) != 1 {
			return "", false
		}
		shift = 10 * (i + 1)
	}
	if n, err := strconv.ParseUint(digits, 10, 63-shift); err == nil {
		return strconv.FormatUint(n<<shift, 10), true
	}
	f, err := strconv.ParseFloat(digits, 64)
	f *= float64(uint64(1) << shift)
	if err != nil || strings.Trim(digits, "0123456789.") != "" || f >= 1<<63 {
		return "", false
	}
	return strconv.FormatInt(int64(f), 10), true
}
