package cli

import (
	"ostia/internal/json"
	"ostia/internal/plan"
	"ostia/internal/spec"

	"golang.org/x/sys/unix"
)

var featuresCommand = command{
	name:     "features",
	synopsis: "",
	summary:  "print what this build supports",
	description: "features prints the features structure of the runtime-spec (features.md) as JSON: what this build of ostia can do, whatever the " +
		"host allows.",
	run: features,
}

func features(*invocation) (int, error) { return 0, print(featuresText()) }

func featuresText() string {
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
			e.Key("org.opencontainers.runc.checkpoint.enabled").String("true")
		})
		e.Key("potentiallyUnsafeConfigAnnotations").Strings(spec.UnsafeAnnotations())
	})
	return string(e.Bytes()) + "\n"
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
		e.Key("systemd").Bool(true)
		e.Key("systemdUser").Bool(true)
		e.Key("rdma").Bool(true)
	})
	e.Key("seccomp").Object(func() {
		e.Key("enabled").Bool(true)
		e.Key("actions").Strings([]string{"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
			"SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP"})
		e.Key("operators").Strings([]string{"SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT",
			"SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"})
		e.Key("archs").Strings([]string{"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_M68K", "SCMP_ARCH_MIPS",
			"SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PARISC",
			"SCMP_ARCH_PARISC64", "SCMP_ARCH_PPC", "SCMP_ARCH_PPC64", "SCMP_ARCH_PPC64LE", "SCMP_ARCH_RISCV64", "SCMP_ARCH_S390",
			"SCMP_ARCH_S390X", "SCMP_ARCH_SH", "SCMP_ARCH_SHEB", "SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"})
		e.Key("knownFlags").Array(func() {
			for _, f := range seccompFlags {
				e.String(f.name)
			}
		})
		e.Key("supportedFlags").Array(func() {
			for _, f := range seccompFlags {
				if kernelHas(f.flag) {
					e.String(f.name)
				}
			}
		})
	})
	for _, f := range [...]struct {
		name    string
		enabled bool
	}{{"apparmor", true}, {"selinux", true}, {"netDevices", true}} {
		e.Key(f.name).Object(func() { e.Key("enabled").Bool(f.enabled) })
	}
	e.Key("intelRdt").Object(func() {
		for _, name := range [...]string{"enabled", "schemata", "monitoring"} {
			e.Key(name).Bool(true)
		}
	})
	e.Key("memoryPolicy").Object(func() {
		modes, flags := spec.MemoryPolicyNames()
		e.Key("modes").Strings(modes)
		e.Key("flags").Strings(flags)
	})
	e.Key("mountExtensions").Object(func() {
		e.Key("idmap").Object(func() { e.Key("enabled").Bool(true) })
	})
}

// seccompFlags are the flags that linux.seccomp.flags may hold.
var seccompFlags = [...]struct {
	name string
	flag uintptr
}{
	{"SECCOMP_FILTER_FLAG_TSYNC", unix.SECCOMP_FILTER_FLAG_TSYNC},
	{"SECCOMP_FILTER_FLAG_SPEC_ALLOW", unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW},
	{"SECCOMP_FILTER_FLAG_LOG", unix.SECCOMP_FILTER_FLAG_LOG},
	{"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV},
}

// kernelHas asks with a filter that cannot be read: a kernel that knows the
// flag says EFAULT, another EINVAL (seccomp(2)).
func kernelHas(flag uintptr) bool {
	if flag == unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV {
		flag |= unix.SECCOMP_FILTER_FLAG_NEW_LISTENER // Linux 5.19 takes it only with this one
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flag, 0)
	return errno == unix.EFAULT
}
