package cli

var planCommand = command{
	name:     "plan",
	synopsis: "[flags] [CONTAINER]",
	summary:  "print what create would do",
	description: "plan compiles the bundle's configuration and prints the system calls that the container's first process would make, each with the " +
		"member of config.json that asks for it. It changes nothing and needs no root. CONTAINER is the id that the plan is for (default: plan).",
	flags: []flag{bundleFlag, configFlag, preserveFDsFlag, noPivotFlag, noNewKeyringFlag, consoleSocketFlag},
	min:   0, max: 1,
	run: printPlan,
}

func printPlan(in *invocation) (int, error) {
	r, err := newRuntime(in)
	if err != nil {
		return 0, err
	}
	if len(in.args) == 0 {
		in.args = []string{"plan"}
	}
	o, err := createOptions(in)
	if err != nil {
		return 0, err
	}
	text, err := r.Plan(o)
	if err != nil {
		return 0, err
	}
	return 0, print(text)
}
