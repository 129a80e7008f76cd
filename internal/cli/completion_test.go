package cli

import (
	"strings"
	"testing"
)

// TestCompletions holds the completions of three shells to the table of
// commands. The shells themselves try them in test/scripts/completion.txtar.
func TestCompletions(t *testing.T) {
	golden(t, "../../completions/ostia.bash", bashCompletion())
	golden(t, "../../completions/_ostia", zshCompletion())
	golden(t, "../../completions/ostia.fish", fishCompletion())
}

const generated = "# Generated from the table of commands: go test ./internal/cli -update\n"

// values is what a flag's value can be: "files", "folders", words, or "" for
// anything.
func values(f *flag) string {
	switch {
	case f.value == "DIR":
		return "folders"
	case f.value == "FILE" || f.value == "SOCKET" || f.value == "OUT":
		return "files"
	case f.value == "FORMAT" && strings.HasPrefix(f.help, "table"):
		return "table json"
	case f.value == "FORMAT":
		return "text json"
	case f.value == "MANAGER":
		return "cgroupfs systemd disabled"
	case f.value == "LEVEL":
		return "debug info warning error"
	case f.value == "BOOL":
		return "true false auto"
	}
	return ""
}

func namesContainer(c *command) bool { return strings.Contains(c.synopsis, "CONTAINER") }

// words are a flag's names as typed.
func words(f *flag) []string {
	w := []string{"--" + f.name}
	if f.short != 0 {
		w = append(w, "-"+string(rune(f.short)))
	}
	return w
}

func bashCompletion() string {
	var global, withValue, names []string
	for i := range globalFlags {
		global = append(global, words(&globalFlags[i])...)
		if globalFlags[i].kind != boolean {
			withValue = append(withValue, words(&globalFlags[i])...)
		}
	}
	commandCases, valueCases, containers := "", "", ""
	for _, c := range commands {
		names = append(names, c.name)
		var flags []string
		for i := range c.flags {
			flags = append(flags, words(&c.flags[i])...)
			valueCases += bashValues(`"`+c.name, &c.flags[i])
		}
		commandCases += "\t" + c.name + `) flags="` + strings.Join(flags, " ") + "\" ;;\n"
		if namesContainer(c) {
			containers += " | " + c.name
		}
	}
	for i := range globalFlags {
		valueCases += bashValues(`*"`, &globalFlags[i])
	}
	return generated + `# bash completion for ostia.
_ostia_paths() {
	local IFS=$'\n' # names may hold spaces
	COMPREPLY=($(compgen "$1" -- "$cur"))
}

_ostia() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command= flags= i
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		` + strings.Join(withValue, " | ") + `) ((i++)) ;;
		-*) ;;
		*) command=${COMP_WORDS[i]}; break ;;
		esac
	done
	case "$command $prev" in
` + valueCases + `	esac
	case $command in
	"") flags="` + strings.Join(names, " ") + `" ;;
` + commandCases + `	esac
	if [[ -z $command && $cur != -* ]]; then
		COMPREPLY=($(compgen -W "$flags" -- "$cur"))
	elif [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "$flags ` + strings.Join(global, " ") + `" -- "$cur"))
	else
		case $command in
		` + strings.TrimPrefix(containers, " | ") + `)
			COMPREPLY=($(compgen -W "$(ostia list --quiet 2>/dev/null)" -- "$cur")) ;;
		*) _ostia_paths -f ;;
		esac
	fi
}
complete -o filenames -F _ostia ostia
`
}

// bashValues are the cases, by command and word before, in which a flag's value
// is typed.
func bashValues(command string, f *flag) (cases string) {
	if f.kind == boolean {
		return ""
	}
	for _, w := range words(f) {
		reply := ""
		switch v := values(f); v {
		case "":
		case "files":
			reply = ` _ostia_paths -f;`
		case "folders":
			reply = ` _ostia_paths -d;`
		default:
			reply = ` COMPREPLY=($(compgen -W "` + v + `" -- "$cur"));`
		}
		cases += "\t" + command + " " + w + `")` + reply + " return ;;\n"
	}
	return cases
}

func zshCompletion() string {
	escape := strings.NewReplacer("'", `'\''`, "[", `\[`, "]", `\]`, ":", `\:`)
	argument := func(f *flag) string {
		s := ""
		if f.kind != boolean {
			s = ":" + strings.ToLower(escape.Replace(f.value)) + ":"
			switch v := values(f); v {
			case "":
			case "files":
				s += "_files"
			case "folders":
				s += "_files -/"
			default:
				s += "(" + v + ")"
			}
		}
		spec := "[" + escape.Replace(f.help) + "]" + s
		if f.short != 0 {
			return "'(-" + string(rune(f.short)) + " --" + f.name + ")'{-" + string(rune(f.short)) + ",--" + f.name + "}'" + spec + "'"
		}
		return "'--" + f.name + spec + "'"
	}
	s := "#compdef ostia\n" + generated + "_ostia_containers() {\n\tlocal -a ids\n\tids=(${(f)\"$(ostia list --quiet 2>/dev/null)\"})\n\tcompadd -a ids\n}\n\n" +
		"_ostia() {\n\tlocal curcontext=$curcontext state line\n\tlocal -a global names\n\tglobal=(\n"
	for i := range globalFlags {
		s += "\t\t" + argument(&globalFlags[i]) + "\n"
	}
	s += "\t)\n\tnames=(\n"
	for _, c := range commands {
		s += "\t\t'" + c.name + ":" + escape.Replace(c.summary) + "'\n"
	}
	s += "\t)\n\t_arguments -C $global '1:command:->command' '*::argument:->argument'\n\tcase $state in\n" +
		"\tcommand) _describe command names ;;\n\targument)\n\t\tcase $words[1] in\n"
	for _, c := range commands {
		s += "\t\t" + c.name + ")\n\t\t\t_arguments $global"
		for i := range c.flags {
			s += " \\\n\t\t\t\t" + argument(&c.flags[i])
		}
		if namesContainer(c) {
			s += " \\\n\t\t\t\t'*:container:_ostia_containers' ;;\n"
		} else {
			s += " \\\n\t\t\t\t'*:file:_files' ;;\n"
		}
	}
	return s + "\t\tesac ;;\n\tesac\n}\n\n_ostia \"$@\"\n"
}

func fishCompletion() string {
	quote := strings.NewReplacer(`\`, `\\`, "'", `\'`)
	argument := func(f *flag) string {
		s := " -l " + f.name
		if f.short != 0 {
			s += " -s " + string(rune(f.short))
		}
		if f.kind != boolean {
			switch v := values(f); v {
			case "files":
				s += " -r -F"
			case "folders":
				s += " -x -a '(__fish_complete_directories)'"
			default:
				s += " -x -a '" + v + "'"
			}
		}
		return s + " -d '" + quote.Replace(f.help) + "'\n"
	}
	s := generated + "complete -c ostia -f\n"
	for i := range globalFlags {
		s += "complete -c ostia" + argument(&globalFlags[i])
	}
	for _, c := range commands {
		s += "complete -c ostia -n __fish_use_subcommand -a " + c.name + " -d '" + quote.Replace(c.summary) + "'\n"
		seen := "complete -c ostia -n '__fish_seen_subcommand_from " + c.name + "'"
		for i := range c.flags {
			s += seen + argument(&c.flags[i])
		}
		if namesContainer(c) {
			s += seen + " -a '(ostia list --quiet 2>/dev/null)'\n"
		} else if c.max != 0 {
			s += seen + " -F\n"
		}
	}
	return s
}
