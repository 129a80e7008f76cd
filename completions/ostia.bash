# Generated from the table of commands: go test ./internal/cli -update
# bash completion for ostia.
_ostia_paths() {
	local IFS=$'\n' # names may hold spaces
	COMPREPLY=($(compgen "$1" -- "$cur"))
}

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
	"create --bundle") _ostia_paths -d; return ;;
	"create -b") _ostia_paths -d; return ;;
	"create --config") _ostia_paths -f; return ;;
	"create -f") _ostia_paths -f; return ;;
	"create --console-socket") _ostia_paths -f; return ;;
	"create --pidfd-socket") _ostia_paths -f; return ;;
	"create --pid-file") _ostia_paths -f; return ;;
	"create --preserve-fds") return ;;
	"create --trace") _ostia_paths -f; return ;;
	"run --bundle") _ostia_paths -d; return ;;
	"run -b") _ostia_paths -d; return ;;
	"run --config") _ostia_paths -f; return ;;
	"run -f") _ostia_paths -f; return ;;
	"run --console-socket") _ostia_paths -f; return ;;
	"run --pidfd-socket") _ostia_paths -f; return ;;
	"run --pid-file") _ostia_paths -f; return ;;
	"run --preserve-fds") return ;;
	"run --trace") _ostia_paths -f; return ;;
	"exec --process") _ostia_paths -f; return ;;
	"exec -p") _ostia_paths -f; return ;;
	"exec --cwd") _ostia_paths -d; return ;;
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
	"exec --pid-file") _ostia_paths -f; return ;;
	"exec --console-socket") _ostia_paths -f; return ;;
	"exec --pidfd-socket") _ostia_paths -f; return ;;
	"exec --preserve-fds") return ;;
	"exec --cgroup") return ;;
	"exec --trace") _ostia_paths -f; return ;;
	"list --format") COMPREPLY=($(compgen -W "table json" -- "$cur")); return ;;
	"list -f") COMPREPLY=($(compgen -W "table json" -- "$cur")); return ;;
	"ps --format") COMPREPLY=($(compgen -W "table json" -- "$cur")); return ;;
	"ps -f") COMPREPLY=($(compgen -W "table json" -- "$cur")); return ;;
	"update --resources") _ostia_paths -f; return ;;
	"update -r") _ostia_paths -f; return ;;
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
	"checkpoint --image-path") _ostia_paths -d; return ;;
	"checkpoint --work-path") _ostia_paths -d; return ;;
	"checkpoint --parent-path") _ostia_paths -d; return ;;
	"checkpoint --manage-cgroups-mode") return ;;
	"checkpoint --network-lock") return ;;
	"checkpoint --empty-ns") return ;;
	"checkpoint --page-server") return ;;
	"checkpoint --status-fd") return ;;
	"restore --bundle") _ostia_paths -d; return ;;
	"restore -b") _ostia_paths -d; return ;;
	"restore --image-path") _ostia_paths -d; return ;;
	"restore --work-path") _ostia_paths -d; return ;;
	"restore --console-socket") _ostia_paths -f; return ;;
	"restore --pidfd-socket") _ostia_paths -f; return ;;
	"restore --pid-file") _ostia_paths -f; return ;;
	"restore --manage-cgroups-mode") return ;;
	"restore --network-lock") return ;;
	"restore --empty-ns") return ;;
	"restore --lsm-profile") return ;;
	"restore --lsm-mount-context") return ;;
	"plan --bundle") _ostia_paths -d; return ;;
	"plan -b") _ostia_paths -d; return ;;
	"plan --config") _ostia_paths -f; return ;;
	"plan -f") _ostia_paths -f; return ;;
	"plan --preserve-fds") return ;;
	"plan --console-socket") _ostia_paths -f; return ;;
	"spec --bundle") _ostia_paths -d; return ;;
	"spec -b") _ostia_paths -d; return ;;
	"spec --file") _ostia_paths -f; return ;;
	"spec -f") _ostia_paths -f; return ;;
	"explain --format") COMPREPLY=($(compgen -W "text json" -- "$cur")); return ;;
	"explain -f") COMPREPLY=($(compgen -W "text json" -- "$cur")); return ;;
	"check --bundle") _ostia_paths -d; return ;;
	"check -b") _ostia_paths -d; return ;;
	"check --config") _ostia_paths -f; return ;;
	"check -f") _ostia_paths -f; return ;;
	"check --format") COMPREPLY=($(compgen -W "text json" -- "$cur")); return ;;
	"doctor --format") COMPREPLY=($(compgen -W "text json" -- "$cur")); return ;;
	"doctor -f") COMPREPLY=($(compgen -W "text json" -- "$cur")); return ;;
	"trace --output") _ostia_paths -f; return ;;
	"trace -o") _ostia_paths -f; return ;;
	*" --root") _ostia_paths -d; return ;;
	*" --log") _ostia_paths -f; return ;;
	*" --log-format") COMPREPLY=($(compgen -W "text json" -- "$cur")); return ;;
	*" --log-level") COMPREPLY=($(compgen -W "debug info warning error" -- "$cur")); return ;;
	*" --cgroup-manager") COMPREPLY=($(compgen -W "cgroupfs systemd disabled" -- "$cur")); return ;;
	*" --rootless") COMPREPLY=($(compgen -W "true false auto" -- "$cur")); return ;;
	*" --handler") return ;;
	*" --criu") _ostia_paths -f; return ;;
	esac
	case $command in
	"") flags="create start run exec kill delete state list ps pause resume update events mounts checkpoint restore plan spec features explain check doctor trace" ;;
	create) flags="--bundle -b --config -f --console-socket --pidfd-socket --pid-file --no-pivot --no-new-keyring --preserve-fds --no-subreaper --trace" ;;
	start) flags="" ;;
	run) flags="--bundle -b --config -f --console-socket --pidfd-socket --pid-file --detach -d --keep --no-subreaper --no-pivot --no-new-keyring --preserve-fds --trace" ;;
	exec) flags="--process -p --tty -t --cwd --env -e --user -u --additional-gids -g --cap -c --no-new-privs --apparmor --process-label --detach -d --pid-file --console-socket --pidfd-socket --preserve-fds --ignore-paused --cgroup --trace" ;;
	kill) flags="--all -a --regex -r" ;;
	delete) flags="--force -f --regex -r" ;;
	state) flags="" ;;
	list) flags="--format -f --quiet -q" ;;
	ps) flags="--format -f --quiet -q" ;;
	pause) flags="" ;;
	resume) flags="" ;;
	update) flags="--resources -r --blkio-weight --cpu-period --cpu-quota --cpu-burst --cpu-share --cpu-rt-period --cpu-rt-runtime --cpuset-cpus --cpuset-mems --cpu-idle --memory --memory-reservation --memory-swap --kernel-memory --kernel-memory-tcp --pids-limit --l3-cache-schema --mem-bw-schema" ;;
	events) flags="--stats --interval" ;;
	mounts) flags="" ;;
	checkpoint) flags="--image-path --work-path --parent-path --leave-running --pre-dump --tcp-established --tcp-skip-in-flight --ext-unix-sk --shell-job --file-locks --link-remap --auto-dedup --manage-cgroups-mode --network-lock --empty-ns --lazy-pages --page-server --status-fd" ;;
	restore) flags="--bundle -b --image-path --work-path --console-socket --pidfd-socket --pid-file --detach -d --no-subreaper --no-pivot --tcp-established --tcp-close --ext-unix-sk --shell-job --file-locks --auto-dedup --manage-cgroups-mode --network-lock --empty-ns --lazy-pages --lsm-profile --lsm-mount-context" ;;
	plan) flags="--bundle -b --config -f --preserve-fds --no-pivot --no-new-keyring --console-socket" ;;
	spec) flags="--bundle -b --file -f --rootless" ;;
	features) flags="" ;;
	explain) flags="--format -f" ;;
	check) flags="--bundle -b --config -f --format --strict" ;;
	doctor) flags="--format -f" ;;
	trace) flags="--output -o" ;;
	esac
	if [[ -z $command && $cur != -* ]]; then
		COMPREPLY=($(compgen -W "$flags" -- "$cur"))
	elif [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "$flags --root --log --log-format --log-level --debug --cgroup-manager --systemd-cgroup --rootless --handler --criu --version -v --help -h" -- "$cur"))
	else
		case $command in
		create | start | run | exec | kill | delete | state | ps | pause | resume | update | events | mounts | checkpoint | restore | plan | explain)
			COMPREPLY=($(compgen -W "$(ostia list --quiet 2>/dev/null)" -- "$cur")) ;;
		*) _ostia_paths -f ;;
		esac
	fi
}
complete -o filenames -F _ostia ostia
