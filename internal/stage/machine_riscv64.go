package stage

// The ELF e_machine and e_flags of an image.
const (
	machine      = 243
	machineFlags = 4
)
