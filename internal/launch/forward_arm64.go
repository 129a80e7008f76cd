package launch

// sigaction is a struct sigaction as rt_sigaction(2) takes it: handler, flags,
// an unused restorer (the vDSO has it), mask.
func sigaction(handler uintptr) [4]uint64 {
	return [4]uint64{uint64(handler), saRestart | saOnStack, 0, 0}
}
