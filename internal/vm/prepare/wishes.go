package prepare

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"ostia/internal/vm/machine"
)

// wishes are what a configuration says of its machine. The image has no say.
type wishes struct {
	memory   uint64
	cpus     int
	kernel   string
	cmdline  string
	boot     int // seconds to come up in
	answer   int // seconds to answer in, 0 for ever
	nested   bool
	serial   bool
	terminal bool
	passt    string // the ports that it takes connections on, "" without it
}

const (
	miB           = 1 << 20
	defaultMemory = 512 * miB
	bootSeconds   = 60 // in a machine in an emulated machine it takes up to 20
	answerSeconds = 60
	minAnswer     = 3 // the agent is asked after a third
	minMemory     = 96 * miB
	maxMemory     = 1 << 40
	// overhead is what the monitor may need of the container's memory limit
	// besides the guest's memory.
	overhead = 16 * miB
	// What passt(1) needs, which is in the same cgroup: 41 MiB were measured, and
	// 503 with the kernel's memory of the 147,000 sockets that all ports are.
	overheadOfPasst    = 48 * miB
	overheadOfAllPorts = 512 * miB
)

// Annotations.
const (
	annotationCPUs   = "krun.cpus"
	annotationMemory = "krun.ram_mib"
	annotationKernel = "org.ostia.vm.kernel"
	annotationNested = "krun.nested_virt"
	annotationBoot   = "org.ostia.vm.boot_seconds"
	annotationAnswer = "org.ostia.vm.answer_seconds"
	annotationSerial = "org.ostia.vm.serial"
	annotationPasst  = "krun.use_passt"
	annotationPorts  = "org.ostia.vm.passt_ports"
)

// refused are annotations of krun's that ask for what is not there: an ignored
// wish would be a lie.
var refused = map[string]string{
	"krun.gpu_flags": "there is no GPU in a machine of this handler",
	"krun.variant":   "there is one kind of machine",
}

func wishesOf(config string) (w wishes, err error) {
	var c struct {
		Annotations map[string]string `json:"annotations"`
		Process     struct {
			Terminal bool `json:"terminal"`
		} `json:"process"`
		VM struct {
			Hypervisor struct {
				Path       string   `json:"path"`
				Parameters []string `json:"parameters"`
			} `json:"hypervisor"`
			Image struct {
				Path string `json:"path"`
			} `json:"image"`
			Kernel struct {
				Path       string   `json:"path"`
				Parameters []string `json:"parameters"`
				InitRD     string   `json:"initrd"`
			} `json:"kernel"`
			HWConfig struct {
				VCPUs  *int    `json:"vcpus"`
				Memory *uint64 `json:"memory"`

				DeviceTree string            `json:"deviceTree"`
				IOMems     []json.RawMessage `json:"iomems"`
				IRQs       []uint32          `json:"irqs"`
			} `json:"hwConfig"`
		} `json:"vm"`
		Linux struct {
			Resources struct {
				Memory struct {
					Limit *int64 `json:"limit"`
				} `json:"memory"`
			} `json:"resources"`
			Seccomp struct {
				ListenerPath string `json:"listenerPath"`
			} `json:"seccomp"`
		} `json:"linux"`
	}
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return w, fmt.Errorf("config: %w", err)
	}
	for name, why := range refused {
		if v, ok := c.Annotations[name]; ok && v != "" && v != "0" && v != "false" {
			return w, fmt.Errorf("annotations %s: %s: leave it out", name, why)
		}
	}
	if c.Linux.Seccomp.ListenerPath != "" {
		return w, fmt.Errorf("linux.seccomp.listenerPath: the microVM handler has no notifications: the system calls are the guest's")
	}
	hw := &c.VM.HWConfig
	for _, r := range []struct {
		asked bool
		what  string
		why   string
	}{
		{c.VM.Kernel.InitRD != "", "vm.kernel.initrd " + c.VM.Kernel.InitRD, "the microVM handler makes its own"},
		{c.VM.Hypervisor.Path != "", "vm.hypervisor.path " + c.VM.Hypervisor.Path, "the microVM handler is the hypervisor"},
		{len(c.VM.Hypervisor.Parameters) > 0, "vm.hypervisor.parameters", "the microVM handler takes annotations"},
		{c.VM.Image.Path != "", "vm.image.path " + c.VM.Image.Path, "the machine's root is the container's, root.path"},
		{hw.DeviceTree != "", "vm.hwConfig.deviceTree " + hw.DeviceTree, "a machine of this handler has none"},
		{len(hw.IOMems) > 0, "vm.hwConfig.iomems", "no device of the host is handed to a machine"},
		{len(hw.IRQs) > 0, "vm.hwConfig.irqs", "no interrupt of the host is handed to a machine"},
	} {
		if r.asked {
			return w, fmt.Errorf("%s: %s: leave it out", r.what, r.why)
		}
	}
	w = wishes{memory: defaultMemory, cpus: 1, boot: bootSeconds, answer: answerSeconds, terminal: c.Process.Terminal, kernel: c.VM.Kernel.Path}
	if len(c.VM.Kernel.Parameters) > 0 {
		w.cmdline = " " + strings.Join(c.VM.Kernel.Parameters, " ")
	}
	if path := c.Annotations[annotationKernel]; path != "" {
		w.kernel = path
	}
	if w.passt, err = passtPorts(c.Annotations); err != nil {
		return w, err
	}
	if l := c.Linux.Resources.Memory.Limit; l != nil && *l > 0 {
		others := uint64(overhead)
		if w.passt != "" {
			others += overheadOfPasst
		}
		if w.passt == allPorts {
			others += overheadOfAllPorts
			if uint64(*l) < others+minMemory {
				return w, fmt.Errorf("linux.resources.memory.limit %d MiB: too little beside passt with all ports, which takes %d: name the ports (annotation %s), or raise the limit to %d", *l/miB, (overheadOfAllPorts+overheadOfPasst)/miB, annotationPorts, (others+minMemory)/miB)
			}
		}
		w.memory = max(uint64(*l)-min(uint64(*l), others), minMemory)
	}
	if m := c.VM.HWConfig.Memory; m != nil {
		w.memory = *m
	}
	if n := c.VM.HWConfig.VCPUs; n != nil {
		w.cpus = *n
	}
	if err := number(c.Annotations, annotationCPUs, func(n uint64) { w.cpus = int(n) }); err != nil {
		return w, err
	}
	if err := number(c.Annotations, annotationMemory, func(n uint64) { w.memory = n * miB }); err != nil {
		return w, err
	}
	if err := number(c.Annotations, annotationBoot, func(n uint64) { w.boot = int(n) }); err != nil {
		return w, err
	}
	if err := number(c.Annotations, annotationAnswer, func(n uint64) { w.answer = int(n) }); err != nil {
		return w, err
	}
	if w.nested, err = yes(c.Annotations, annotationNested); err != nil {
		return w, err
	}
	if w.serial, err = yes(c.Annotations, annotationSerial); err != nil {
		return w, err
	}
	if w.answer != 0 && w.answer < minAnswer {
		return w, fmt.Errorf("annotations %s: %d s to answer in: at least %d are needed, or 0 for no bound", annotationAnswer, w.answer, minAnswer)
	}
	if w.cpus < 1 || w.cpus > machine.MaxCPUs {
		return w, fmt.Errorf("%d vCPUs: from 1 to %d are possible (annotation %s)", w.cpus, machine.MaxCPUs, annotationCPUs)
	}
	if w.memory < minMemory || w.memory > maxMemory {
		return w, fmt.Errorf("%d MiB of guest memory: at least %d are needed (annotation %s, or linux.resources.memory.limit)", w.memory/miB, minMemory/miB, annotationMemory)
	}
	return w, nil
}

// allPorts are passt's word for the ports that nobody else has, but for those
// that the kernel gives to clients.
const allPorts = "all"

// passtPorts are the ports that passt(1) takes connections on for the guest, as
// its options -t and -u have them: all, as krun has it, unless they are given.
func passtPorts(annotations map[string]string) (string, error) {
	ports, given := annotations[annotationPorts]
	asked, err := yes(annotations, annotationPasst)
	switch {
	case err != nil:
		return "", err
	case given && (!asked || ports == ""):
		return "", fmt.Errorf("annotations %s %q: needs %s: 1, and ports like 80,8080-8090, all or none", annotationPorts, ports, annotationPasst)
	case asked && !given:
		return allPorts, nil
	}
	return ports, nil
}

// yes reads an annotation that is 1 or 0.
func yes(annotations map[string]string, name string) (bool, error) {
	switch v := annotations[name]; v {
	case "", "0", "false":
		return false, nil
	case "1", "true":
		return true, nil
	default:
		return false, fmt.Errorf("annotations %s %q: use 1 or 0", name, v)
	}
}

func number(annotations map[string]string, name string, set func(uint64)) error {
	text, ok := annotations[name]
	if !ok {
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 24)
	if err != nil {
		return fmt.Errorf("annotations %s %q: not a number: %w", name, text, err)
	}
	set(n)
	return nil
}
