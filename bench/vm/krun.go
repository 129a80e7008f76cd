package main

import "errors"

// besideKrun boots the kernel of libkrunfw with both, in machines of one size,
// and compares what the other parts compare with QEMU.
func (f *field) besideKrun() ([]result, error) {
	if f.krunKernel == "" {
		return nil, errors.New("-libkrunfw is not given")
	}
	err := f.configure(func(c map[string]any) {
		c["annotations"] = map[string]any{"krun.cpus": "1", "krun.ram_mib": "512", "org.ostia.vm.kernel": f.krunKernel}
	})
	if err == nil {
		err = f.warm() // the kernel's place in ostia's cache
	}
	if err != nil {
		return nil, err
	}
	took, err := f.boots(isOstia, isKrun)
	if err != nil {
		return nil, err
	}
	sizes, err := f.resident(isOstia, isKrun)
	if err != nil {
		return nil, err
	}
	rates, err := f.rates(", krun", isOstia, isKrun)
	return append([]result{
		compare(untilEntryPoint+", krun, both with its kernel", "s", "", took[0], took[1]),
		compare("resident besides the guest's memory, krun", "MiB", "", sizes[:1], sizes[1:]),
	}, rates...), err
}
