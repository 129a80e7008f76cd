package launch

const saRestorer = 0x04000000

func restorerAddress() uintptr

// sigaction is a struct sigaction as rt_sigaction(2) takes it.
func sigaction(handler uintptr) [4]uint64 {
	const flags = saRestart | saOnStack | saRestorer
	return [4]uint64{uint64(handler), flags, uint64(restorerAddress()), 0}
}
