package guest

// Machine is what the agent is told by the initramfs: the container, and what
// of the machine it cannot see.
type Machine struct {
	Config   string // config.json for the guest
	Terminal bool
	Rows     uint16
	Columns  uint16
	Links    []Link   // in the order of their devices
	Sysctls  []Sysctl // of the network, which is the guest's own
}

// Tag is that of the virtio-fs device with the container's tree.
const Tag = "ostia"

// Link is a network device. Addresses, Routes and Neighbours are bodies of
// rtnetlink(7) requests; the device's index belongs in those of the first and
// third, and in an RTA_OIF behind those of the second.
type Link struct {
	Name                          string
	MAC                           [6]byte
	MTU                           uint16
	Addresses, Routes, Neighbours [][]byte
}

// Sysctl is a value for a file below /proc/sys.
type Sysctl struct{ Path, Value string }
