package guest

// Machine is what the agent is told by the initramfs: the container, and what
// of the machine it cannot see.
type Machine struct {
	Config   string // config.json for the guest
	Terminal bool
	Rows     uint16
	Columns  uint16
}

// Tag is that of the virtio-fs device with the container's tree.
const Tag = "ostia"
