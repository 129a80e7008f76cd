package prepare

import (
	"reflect"
	"strings"
	"testing"
)

// What a configuration asks of its machine is done or refused, never passed over.
func TestWishes(t *testing.T) {
	usual := wishes{memory: defaultMemory, cpus: 1, boot: bootSeconds, answer: answerSeconds}
	with := func(change func(w *wishes)) wishes {
		w := usual
		change(&w)
		return w
	}
	for config, want := range map[string]wishes{
		`{}`: usual,
		`{"vm": {"kernel": {"path": "/k", "parameters": ["a=b", "c"]}, "hwConfig": {"vcpus": 3, "memory": 268435456}}}`: with(func(w *wishes) {
			w.kernel, w.cmdline, w.cpus, w.memory = "/k", " a=b c", 3, 256*miB
		}),
		`{"annotations": {"krun.cpus": "16", "krun.ram_mib": "128", "org.ostia.vm.kernel": "/other"}, "vm": {"kernel": {"path": "/k"}, "hwConfig": {"vcpus": 3}}}`: with(func(w *wishes) {
			w.kernel, w.cpus, w.memory = "/other", 16, 128*miB
		}),
		`{"linux": {"resources": {"memory": {"limit": 536870912}}}}`: with(func(w *wishes) { w.memory = 512*miB - overhead }),
		`{"annotations": {"krun.use_passt": "1"}, "linux": {"resources": {"memory": {"limit": 1073741824}}}}`: with(func(w *wishes) {
			w.memory, w.passt = 1024*miB-overhead-overheadOfPasst-overheadOfAllPorts, "all"
		}),
		`{"annotations": {"krun.use_passt": "1", "org.ostia.vm.passt_ports": "none"}, "linux": {"resources": {"memory": {"limit": 536870912}}}}`: with(func(w *wishes) {
			w.memory, w.passt = 512*miB-overhead-overheadOfPasst, "none"
		}),
		`{"annotations": {"krun.use_passt": "true", "org.ostia.vm.passt_ports": "80"}}`: with(func(w *wishes) { w.passt = "80" }),
		`{"linux": {"resources": {"memory": {"limit": 1048576}}}}`:                      with(func(w *wishes) { w.memory = minMemory }),
		`{"annotations": {"krun.nested_virt": "1", "krun.use_passt": "0", "org.ostia.vm.serial": "1", "org.ostia.vm.answer_seconds": "0"}, "process": {"terminal": true}}`: with(func(w *wishes) {
			w.nested, w.serial, w.answer, w.terminal = true, true, 0, true
		}),
	} {
		if w, err := wishesOf(config); err != nil || !reflect.DeepEqual(w, want) {
			t.Errorf("%s: %+v, %v, want %+v", config, w, err, want)
		}
	}
	for config, want := range map[string]string{
		`{"annotations": {"krun.gpu_flags": "1"}}`:                                                           "annotations krun.gpu_flags: ",
		`{"annotations": {"krun.variant": "sev"}}`:                                                           "annotations krun.variant: ",
		`{"annotations": {"krun.use_passt": "perhaps"}}`:                                                     `annotations krun.use_passt "perhaps": use 1 or 0`,
		`{"annotations": {"krun.use_passt": "1"}, "linux": {"resources": {"memory": {"limit": 536870912}}}}`: "linux.resources.memory.limit 512 MiB: too little beside passt with all ports, which takes 560: name the ports",
		`{"annotations": {"org.ostia.vm.passt_ports": "80"}}`:                                                `annotations org.ostia.vm.passt_ports "80": needs krun.use_passt: 1`,
		`{"annotations": {"krun.nested_virt": "maybe"}}`:                                                     `annotations krun.nested_virt "maybe": use 1 or 0`,
		`{"annotations": {"krun.cpus": "0"}}`:                                                                "0 vCPUs: from 1 to 16",
		`{"annotations": {"krun.ram_mib": "64"}}`:                                                            "64 MiB of guest memory: at least 96",
		`{"annotations": {"org.ostia.vm.answer_seconds": "2"}}`:                                              "annotations org.ostia.vm.answer_seconds: 2 s to answer in: at least 3",
		`{"vm": {"hwConfig": {"vcpus": 17}}}`:                                                                "17 vCPUs: from 1 to 16",
		`{"vm": {"hwConfig": {"deviceTree": "/tree"}}}`:                                                      "vm.hwConfig.deviceTree /tree: ",
		`{"vm": {"hwConfig": {"irqs": [7]}}}`:                                                                "vm.hwConfig.irqs: ",
		`{"vm": {"hwConfig": {"iomems": [{}]}}}`:                                                             "vm.hwConfig.iomems: ",
		`{"vm": {"hypervisor": {"path": "/bin/qemu"}}}`:                                                      "vm.hypervisor.path /bin/qemu: ",
		`{"vm": {"hypervisor": {"parameters": ["-smp"]}}}`:                                                   "vm.hypervisor.parameters: ",
		`{"vm": {"image": {"path": "/disk", "format": "raw"}}}`:                                              "vm.image.path /disk: ",
		`{"vm": {"kernel": {"path": "/k", "initrd": "/initrd"}}}`:                                            "vm.kernel.initrd /initrd: ",
		`{"linux": {"seccomp": {"listenerPath": "/run/listener"}}}`:                                          "linux.seccomp.listenerPath: ",
	} {
		if w, err := wishesOf(config); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %+v, %v, want %s", config, w, err, want)
		}
	}
}
