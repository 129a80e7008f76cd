package cli

import "strings"

// answer carries out a command line without a command: --version or --help.
func (in *invocation) answer() error {
	switch {
	case in.is("version"):
		return print(in.versionText())
	case !in.is("help"):
		return usageError("no command: see " + in.program + " --help")
	case len(in.args) == 0:
		return print(overview(in.program))
	}
	c, err := in.commandNamed(in.args[0])
	if err != nil {
		return err
	}
	return print(c.help(in.program))
}

// overview is the help of the program itself.
func overview(program string) string {
	s := "NAME:\n  " + program + " - Open Container Initiative runtime\n\nUSAGE:\n  " + program + " [flags] COMMAND [flags] [ARG...]\n\nCOMMANDS:\n"
	for _, c := range commands {
		s += "  " + pad(c.name, 12) + c.summary + "\n"
	}
	return s + "\nFLAGS:\n" + flagList(globalFlags[:]) + "\n" + program + " COMMAND --help explains a command.\n"
}

func (c *command) help(program string) string {
	s := "NAME:\n  " + program + " " + c.name + " - " + c.summary + "\n\nUSAGE:\n  " +
		strings.Join(c.usages(program), "\n  ") + "\n\n" + wrap(c.description, 80, "")
	if len(c.flags) > 0 {
		s += "\nFLAGS:\n" + flagList(c.flags)
	}
	return s
}

// flagColumn is where the explanations of flags begin.
const flagColumn = 30

func flagList(flags []flag) string {
	s := ""
	for i := range flags {
		left := "  " + flags[i].usage()
		indent := strings.Repeat(" ", flagColumn)
		text := wrap(flags[i].help, 100, indent)
		if len(left) < flagColumn {
			text = pad(left, flagColumn) + text[flagColumn:]
		} else {
			text = left + "\n" + text
		}
		s += text
	}
	return s
}

// usage is a flag as a person types it: -b, --bundle DIR.
func (f *flag) usage() string {
	s := "--" + f.name
	if f.short != 0 {
		s = "-" + string(rune(f.short)) + ", " + s
	}
	if f.value != "" {
		s += " " + f.value
	}
	return s
}

// wrap breaks text into lines of at most width bytes that begin with indent.
func wrap(text string, width int, indent string) string {
	s, line := "", indent
	for word := range strings.FieldsSeq(text) {
		if len(line) > len(indent) && len(line)+1+len(word) > width {
			s += line + "\n"
			line = indent
		}
		if len(line) > len(indent) {
			line += " "
		}
		line += word
	}
	return s + line + "\n"
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(width-len(s), 0))
}
