package spec

import (
	"iter"
	"strings"

	"ostia/internal/json"
	"ostia/internal/typo"
)

// layout is every member that the specification gives a configuration
// (config.md, config-linux.md, version 1.3). The members of those on a line are
// on the lines below it that begin with one tab more; a list has those of its
// elements. * is a member of any name, and what has nothing below it may hold
// anything.
const layout = `
ociVersion hostname domainname annotations vm solaris windows zos freebsd
root
	path readonly
process
	terminal args commandLine env cwd noNewPrivileges apparmorProfile selinuxLabel oomScoreAdj
	consoleSize
		height width
	user
		uid gid umask additionalGids username
	capabilities
		bounding effective inheritable permitted ambient
	rlimits
		type soft hard
	scheduler
		policy nice priority flags runtime deadline period
	ioPriority
		class priority
	execCPUAffinity
		initial final
mounts
	destination type source options
	uidMappings gidMappings
		containerID hostID size
hooks
	prestart createRuntime createContainer startContainer poststart poststop
		path args env timeout
linux
	netDevices cgroupsPath rootfsPropagation sysctl maskedPaths readonlyPaths mountLabel intelRdt memoryPolicy
	namespaces
		type path
	uidMappings gidMappings
		containerID hostID size
	timeOffsets
		*
			secs nanosecs
	devices
		path type major minor fileMode uid gid
	personality
		domain flags
	resources
		unified
		devices
			allow type major minor access
		memory
			limit reservation swap kernel kernelTCP swappiness disableOOMKiller useHierarchy checkBeforeUpdate
		cpu
			shares quota burst period realtimeRuntime realtimePeriod cpus mems idle
		pids
			limit
		blockIO
			weight leafWeight
			weightDevice
				major minor weight leafWeight
			throttleReadBpsDevice throttleWriteBpsDevice throttleReadIOPSDevice throttleWriteIOPSDevice
				major minor rate
		hugepageLimits
			pageSize limit
		network
			classID
			priorities
				name priority
		rdma
			*
				hcaHandles hcaObjects
	seccomp
		defaultAction defaultErrnoRet architectures flags listenerPath listenerMetadata
		syscalls
			names action errnoRet
			args
				index value valueTwo op
`

// known is a member of the layout with those below it.
type known struct {
	name  string
	below []*known
}

// parseLayout reads the lines of one level; rest is what follows them.
func parseLayout(text string, level int) (list []*known, rest string) {
	for text != "" {
		line, after, _ := strings.Cut(text, "\n")
		names := strings.TrimLeft(line, "\t")
		if len(line)-len(names) < level {
			break
		}
		below, rest := parseLayout(after, level+1)
		for name := range strings.FieldsSeq(names) {
			list = append(list, &known{name, below})
		}
		text = rest
	}
	return list, text
}

// Unknown returns the members of a config.json that the specification does not
// have, *json.Error values, each with the one that it was most likely meant to
// be. A runtime ignores them (config.md#extensibility).
func Unknown(text string) []error {
	d := json.NewDecoder(text)
	d.Lenient()
	var found []error
	list, _ := parseLayout(strings.TrimPrefix(layout, "\n"), 0)
	unknown(d, list, &found)
	return found
}

func unknown(d *json.Decoder, here []*known, found *[]error) {
	if len(here) == 0 {
		d.Skip()
		return
	}
	if d.AtArray() {
		d.Array(func(int) { unknown(d, here, found) })
		return
	}
	d.Object(func(key string) {
		for _, m := range here {
			if m.name == key || m.name == "*" {
				unknown(d, m.below, found)
				return
			}
		}
		reason := "the specification has no such member: it is ignored"
		if near := nearMember(key, here); near != "" {
			reason += ": did you mean " + near + "?"
		}
		d.Refuse(reason)
		if all := d.Refused(); len(all) > 0 {
			*found = append(*found, all[len(all)-1])
		}
		d.Skip()
	})
}

// nearMember is the member that a name stands for, but for its case or a
// mistake in typing.
func nearMember(key string, here []*known) string {
	for _, m := range here {
		if strings.EqualFold(m.name, key) {
			return m.name
		}
	}
	return typo.Nearest(key, names(here))
}

func names(list []*known) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, m := range list {
			if !yield(m.name) {
				return
			}
		}
	}
}
