# Generated from the table of commands: go test ./internal/cli -update
# bash completion for ostia.
_ostia() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command= flags= i
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--root | --log | --log-format | --log-level | --cgroup-manager | --rootless | --handler | --criu) ((i++)) ;;
		-*) ;;
		*) command=${COMP_WORDS[i]}; break ;;
		esac
	done
	case "$command $prev" in
	"create --bundle") mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	"create -b") mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	"create --config") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	"create -f") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	"create --console-socket") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	"create --pidfd-socket") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	"create --pid-file") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	"create --preserve-fds") return ;;
	"create --trace") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	"run --bundle") mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	"run -b") mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	"run --config") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	"run -f") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	"run --console-socket") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	"run --pidfd-socket") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	"run --pid-file") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	"run --preserve-fds") return ;;
	"run --trace") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	"exec --process") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	"exec -p") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	"exec --cwd") mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	"exec --env") return ;;
	"exec -e") return ;;
	"exec --user") return ;;
	"exec -u") return ;;
	"exec --additional-gids") return ;;
	"exec -g") return ;;
	"exec --cap") return ;;
	"exec -c") return ;;
	"exec --apparmor") return ;;
	"exec --process-label") return ;;
	"exec --pid-file") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	"exec --console-socket") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	"exec --pidfd-socket") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	"exec --preserve-fds") return ;;
	"exec --cgroup") return ;;
	"exec --trace") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	"list --format") mapfile -t COMPREPLY < <(compgen -W "table json" -- "$cur"); return ;;
	"list -f") mapfile -t COMPREPLY < <(compgen -W "table json" -- "$cur"); return ;;
	"ps --format") mapfile -t COMPREPLY < <(compgen -W "table json" -- "$cur"); return ;;
	"ps -f") mapfile -t COMPREPLY < <(compgen -W "table json" -- "$cur"); return ;;
	"update --resources") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	"update -r") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	"update --blkio-weight") return ;;
	"update --cpu-period") return ;;
	"update --cpu-quota") return ;;
	"update --cpu-burst") return ;;
	"update --cpu-share") return ;;
	"update --cpu-rt-period") return ;;
	"update --cpu-rt-runtime") return ;;
	"update --cpuset-cpus") return ;;
	"update --cpuset-mems") return ;;
	"update --cpu-idle") return ;;
	"update --memory") return ;;
	"update --memory-reservation") return ;;
	"update --memory-swap") return ;;
	"update --kernel-memory") return ;;
	"update --kernel-memory-tcp") return ;;
	"update --pids-limit") return ;;
	"update --l3-cache-schema") return ;;
	"update --mem-bw-schema") return ;;
	"events --interval") return ;;
	"plan --bundle") mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	"plan -b") mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	"plan --config") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	"plan -f") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	"plan --preserve-fds") return ;;
	"plan --console-socket") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	"spec --bundle") mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	"spec -b") mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	"explain --format") mapfile -t COMPREPLY < <(compgen -W "text json" -- "$cur"); return ;;
	"explain -f") mapfile -t COMPREPLY < <(compgen -W "text json" -- "$cur"); return ;;
	"check --bundle") mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	"check -b") mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	"check --config") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	"check -f") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	"check --format") mapfile -t COMPREPLY < <(compgen -W "text json" -- "$cur"); return ;;
	"doctor --format") mapfile -t COMPREPLY < <(compgen -W "text json" -- "$cur"); return ;;
	"doctor -f") mapfile -t COMPREPLY < <(compgen -W "text json" -- "$cur"); return ;;
	"trace --output") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	"trace -o") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	*" --root") mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	*" --log") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	*" --log-format") mapfile -t COMPREPLY < <(compgen -W "text json" -- "$cur"); return ;;
	*" --log-level") mapfile -t COMPREPLY < <(compgen -W "debug info warning error" -- "$cur"); return ;;
	*" --cgroup-manager") mapfile -t COMPREPLY < <(compgen -W "cgroupfs disabled" -- "$cur"); return ;;
	*" --rootless") mapfile -t COMPREPLY < <(compgen -W "true false auto" -- "$cur"); return ;;
	*" --handler") return ;;
	*" --criu") mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	esac
	case $command in
	"") flags="create start run exec kill delete state list ps pause resume update events mounts plan spec features explain check doctor trace" ;;
	create) flags="--bundle -b --config -f --console-socket --pidfd-socket --pid-file --no-pivot --no-new-keyring --preserve-fds --no-subreaper --trace" ;;
	start) flags="" ;;
	run) flags="--bundle -b --config -f --console-socket --pidfd-socket --pid-file --detach -d --keep --no-subreaper --no-pivot --no-new-keyring --preserve-fds --trace" ;;
	exec) flags="--process -p --tty -t --cwd --env -e --user -u --additional-gids -g --cap -c --no-new-privs --apparmor --process-label --detach -d --pid-file --console-socket --pidfd-socket --preserve-fds --ignore-paused --cgroup --trace" ;;
	kill) flags="--all -a --regex -r" ;;
	delete) flags="--force -f --regex -r" ;;
	state) flags="" ;;
	list) flags="--format -f --quiet -q" ;;
	ps) flags="--format -f" ;;
	pause) flags="" ;;
	resume) flags="" ;;
	update) flags="--resources -r --blkio-weight --cpu-period --cpu-quota --cpu-burst --cpu-share --cpu-rt-period --cpu-rt-runtime --cpuset-cpus --cpuset-mems --cpu-idle --memory --memory-reservation --memory-swap --kernel-memory --kernel-memory-tcp --pids-limit --l3-cache-schema --mem-bw-schema" ;;
	events) flags="--stats --interval" ;;
	mounts) flags="" ;;
	plan) flags="--bundle -b --config -f --preserve-fds --no-pivot --no-new-keyring --console-socket" ;;
	spec) flags="--bundle -b --rootless" ;;
	features) flags="" ;;
	explain) flags="--format -f" ;;
	check) flags="--bundle -b --config -f --format --strict" ;;
	doctor) flags="--format -f" ;;
	trace) flags="--output -o" ;;
	esac
	if [[ -z $command && $cur != -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$cur")
	elif [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$flags --root --log --log-format --log-level --debug --cgroup-manager --systemd-cgroup --rootless --handler --criu --version -v --help -h" -- "$cur")
	else
		case $command in
		create | start | run | exec | kill | delete | state | ps | pause | resume | update | events | mounts | plan | explain)
			mapfile -t COMPREPLY < <(compgen -W "$(ostia list --quiet 2>/dev/null)" -- "$cur") ;;
		*) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
		esac
	fi
}
complete -o filenames -F _ostia ostia
