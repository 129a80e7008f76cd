package cli

import (
	"iter"
	"slices"
	"strconv"
	"strings"

	"ostia/internal/container"
	"ostia/internal/typo"
)

// flag is one option of a command, or of all of them.
type flag struct {
	name  string
	short byte // 0 is none
	kind  kind
	value string // what help calls the value: FILE, DIR, N
	help  string
}

type kind uint8

const (
	boolean kind = iota
	text
	number // an int of 0 or more
	texts  // may be given several times
	ids    // numbers of 32 bits, may be given several times
)

// invocation is a command line, parsed.
type invocation struct {
	program string   // what ostia is called as
	command *command // nil when only global flags are given
	set     []setting
	args    []string
	criu    container.Criu // nil when another program has it
}

// setting is one flag as given. A boolean's value is "true" or "false".
type setting struct{ name, value string }

func (in *invocation) text(name string) string {
	for i := len(in.set) - 1; i >= 0; i-- {
		if in.set[i].name == name {
			return in.set[i].value
		}
	}
	return ""
}

func (in *invocation) given(name string) bool {
	for i := range in.set {
		if in.set[i].name == name {
			return true
		}
	}
	return false
}

func (in *invocation) is(name string) bool { return in.text(name) == "true" }

func (in *invocation) number(name string) int {
	n, _ := strconv.Atoi(in.text(name)) // parse has checked it
	return n
}

func (in *invocation) texts(name string) []string {
	var all []string
	for i := range in.set {
		if in.set[i].name == name {
			all = append(all, in.set[i].value)
		}
	}
	return all
}

func (in *invocation) ids(name string) []uint32 {
	var all []uint32
	for i := range in.set {
		if in.set[i].name == name {
			n, _ := strconv.ParseUint(in.set[i].value, 10, 32) // parse has checked it
			all = append(all, uint32(n))
		}
	}
	return all
}

// parseCommandLine parses the global flags, the command, its flags and its
// arguments. The invocation is never nil: it says how to report the error.
//
// It accepts what runc and crun accept: one dash or two before a long name, a
// value after "=" or as the next argument, short flags in a cluster, flags
// after arguments where the command's last argument is not a program of its
// own, and global flags after the command.
func parseCommandLine(program string, args []string) (*invocation, error) {
	in := &invocation{program: program}
	rest, err := in.parse(args, nil, true)
	if err != nil || len(rest) == 0 {
		return in, err
	}
	if rest[0] == "help" {
		in.set = append(in.set, setting{"help", "true"})
		if rest = rest[1:]; len(rest) == 0 {
			return in, nil
		}
	}
	c, err := in.commandNamed(rest[0])
	switch {
	case err != nil && slices.ContainsFunc(rest[1:], func(a string) bool { return a == "-h" || a == "--help" }):
		return in, usageError("No help topic for '" + rest[0] + "': " + err.Error())
	case err != nil:
		return in, err
	}
	in.command = c
	in.args, err = in.parse(rest[1:], c.flags, c.stopAtFirst)
	switch {
	case err != nil:
		return in, usageError(c.name + ": " + err.Error())
	case in.is("help"):
		in.args, in.command = []string{c.name}, nil
	case len(in.args) < c.min:
		return in, usageError(c.name + ": too few arguments: " + c.usage(program))
	case c.max >= 0 && len(in.args) > c.max:
		return in, usageError(c.name + ": too many arguments: " + c.usage(program))
	}
	return in, in.checkLog()
}

// parse adds the flags in args to the settings and returns the rest.
func (in *invocation) parse(args []string, local []flag, stopAtFirst bool) (rest []string, err error) {
	for len(args) > 0 {
		a := args[0]
		switch {
		case a == "--":
			return append(rest, args[1:]...), nil
		case len(a) < 2 || a[0] != '-' || stopAtFirst && len(rest) > 0:
			rest = append(rest, a)
			args = args[1:]
			if local == nil && stopAtFirst {
				// The command. Its own flags begin here.
				return append(rest, args...), nil
			}
		default:
			if args, err = in.parseFlag(args, local); err != nil {
				return nil, err
			}
		}
	}
	return rest, nil
}

// parseFlag takes one flag, or one cluster of short flags, from args.
func (in *invocation) parseFlag(args []string, local []flag) ([]string, error) {
	word := strings.TrimPrefix(args[0][1:], "-")
	dashes := args[0][:len(args[0])-len(word)]
	name, value, joined := strings.Cut(word, "=")
	args = args[1:]
	if f := long(name, local); f != nil {
		return in.take(f, dashes+name, value, joined, args)
	}
	if dashes == "-" && len(name) == 1 {
		if f := short(name[0], local); f != nil {
			return in.take(f, dashes+name, value, joined, args)
		}
	}
	near := typo.Nearest(name, names(local))
	if dashes == "-" && (near == "" || len(name) < 4) {
		if rest, ok, err := in.parseCluster(word, args, local); ok {
			return rest, err
		}
	}
	if near != "" {
		near = "--" + near
	}
	return nil, usageError("unknown flag " + dashes + name + didYouMean(near, in.whereFlagsAre(name)))
}

// whereFlagsAre is the way out for a flag that is like none: it may be one of
// a command, given too early.
func (in *invocation) whereFlagsAre(name string) string {
	if in.command != nil {
		return "see " + in.program + " " + in.command.name + " --help"
	}
	for _, c := range commands {
		for i := range c.flags {
			if f := &c.flags[i]; f.name == name || len(name) == 1 && f.short == name[0] {
				return "flags of a command come after it: " + in.program + " " + c.name + " " + f.usage()
			}
		}
	}
	return "see " + in.program + " --help"
}

// parseCluster takes short flags written together, as getopt(3) does: -td, or
// -bDIR where b has a value. ok is false when the word is no such thing.
func (in *invocation) parseCluster(word string, args []string, local []flag) (rest []string, ok bool, err error) {
	before := len(in.set)
	for i := 0; i < len(word); i++ {
		f := short(word[i], local)
		if f == nil {
			in.set = in.set[:before]
			return nil, false, nil
		}
		last := i == len(word)-1
		if f.kind != boolean {
			rest, err = in.take(f, "-"+word[i:i+1], strings.TrimPrefix(word[i+1:], "="), !last, args)
			return rest, true, err
		}
		in.set = append(in.set, setting{f.name, "true"})
	}
	return args, true, nil
}

// take stores a flag's value, from args unless it came joined to the name.
func (in *invocation) take(f *flag, written, value string, joined bool, args []string) ([]string, error) {
	if f.kind == boolean {
		if !joined {
			value = "true"
		}
		b, ok := truth(value)
		if !ok {
			return nil, usageError(written + "=" + value + ": not a truth value: use true or false")
		}
		in.set = append(in.set, setting{f.name, strconv.FormatBool(b)})
		return args, nil
	}
	if !joined {
		if len(args) == 0 {
			// podman looks for these words to learn that restore knows --lsm-mount-context.
			return nil, usageError(written + ": flag needs an argument: " + written + " " + f.value)
		}
		value, args = args[0], args[1:]
	}
	switch f.kind {
	case number:
		if n, err := strconv.ParseInt(value, 10, 32); err != nil || n < 0 {
			return nil, usageError(written + " " + value + ": not a number of 0 or more")
		}
	case ids:
		if _, err := strconv.ParseUint(value, 10, 32); err != nil {
			return nil, usageError(written + " " + value + ": not a number from 0 to 4294967295")
		}
	}
	in.set = append(in.set, setting{f.name, value})
	return args, nil
}

// truth reads a boolean as Go's flag parsers (runc) and crun do.
func truth(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "1", "t", "true", "y", "yes", "on":
		return true, true
	case "0", "f", "false", "n", "no", "off":
		return false, true
	}
	return false, false
}

// long finds a flag by name: the command's own hide the global ones.
func long(name string, local []flag) *flag {
	for i := range local {
		if local[i].name == name {
			return &local[i]
		}
	}
	for i := range globalFlags {
		if globalFlags[i].name == name {
			return &globalFlags[i]
		}
	}
	return nil
}

func short(c byte, local []flag) *flag {
	for i := range local {
		if local[i].short == c {
			return &local[i]
		}
	}
	for i := range globalFlags {
		if globalFlags[i].short == c {
			return &globalFlags[i]
		}
	}
	if c == 'V' { // crun's second short form of --version
		return short('v', nil)
	}
	return nil
}

func names(local []flag) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range local {
			if !yield(local[i].name) {
				return
			}
		}
		for i := range globalFlags {
			if !yield(globalFlags[i].name) {
				return
			}
		}
	}
}
