package stage

// The ELF e_machine and e_flags of an image.
const (
	machine      = 183
	machineFlags = 0
)
