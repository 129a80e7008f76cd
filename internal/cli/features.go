package cli

import (
	"ostia/internal/json"
	"ostia/internal/plan"
	"ostia/internal/spec"
)

var featuresCommand = command{
	name:     "features",
	synopsis: "",
	summary:  "print what this build supports",
	description: "features prints the features structure of the runtime-spec (features.md) as JSON: what this build of ostia can do, whatever the " +
		"host allows.",
	run: features,
}

func features(in *invocation) (int, error) {
	e := json.NewEncoder("    ")
	e.Object(func() {
		e.Key("ociVersionMin").String("1.0.0")
		e.Key("ociVersionMax").String(spec.Version)
		e.Key("hooks").Strings([]string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"})
		e.Key("mountOptions").Strings(plan.MountOptions())
		e.Key("linux").Object(func() { linuxFeatures(e) })
		e.Key("annotations").Object(func() {
			e.Key("org.ostia.version").String(version)
			if commit != "" {
				e.Key("org.ostia.commit").String(commit)
			}
		})
	})
	return 0, print(string(e.Bytes()) + "\n")
}

func linuxFeatures(e *json.Encoder) {
	e.Key("namespaces").Strings(spec.NamespaceNames())
	e.Key("capabilities").Array(func() {
		for bit := 0; spec.CapabilityName(bit) != ""; bit++ {
			e.String(spec.CapabilityName(bit))
		}
	})
	e.Key("cgroup").Object(func() {
		e.Key("v1").Bool(true)
		e.Key("v2").Bool(true)
		e.Key("systemd").Bool(false)
		e.Key("systemdUser").Bool(false)
		e.Key("rdma").Bool(true)
	})
	e.Key("seccomp").Object(func() {
		e.Key("enabled").Bool(true)
		e.Key("actions").Strings([]string{"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
			"SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP"})
		e.Key("operators").Strings([]string{"SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT",
			"SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"})
		e.Key("archs").Strings([]string{"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_MIPS",
			"SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_PPC", "SCMP_ARCH_PPC64", "SCMP_ARCH_PPC64LE",
			"SCMP_ARCH_RISCV64", "SCMP_ARCH_S390X", "SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"})
		flags := []string{"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_LOG",
			"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"}
		e.Key("knownFlags").Strings(flags)
		e.Key("supportedFlags").Strings(flags)
	})
	for _, f := range [...]struct {
		name    string
		enabled bool
	}{{"apparmor", true}, {"selinux", true}, {"intelRdt", false}, {"memoryPolicy", false}, {"netDevices", false}} {
		e.Key(f.name).Object(func() { e.Key("enabled").Bool(f.enabled) })
	}
	e.Key("mountExtensions").Object(func() {
		e.Key("idmap").Object(func() { e.Key("enabled").Bool(true) })
	})
}
