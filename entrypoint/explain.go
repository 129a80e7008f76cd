package entrypoint

// Credentials are those of the process that would execute the program, as it
// sees them itself.
type Credentials struct {
	UID, GID     uint32
	Groups       []uint32 // supplementary
	Capabilities uint64   // the effective set, bit n for capability number n
	NoNewPrivs   bool
}

// Tree is where [Verdict.Explain] looks.
type Tree struct {
	Root        int    // descriptor of the container's root, may be O_PATH
	Cwd         string // the process's working directory in it
	Credentials Credentials
	Env         []string
	Args        []string
	UIDs, GIDs  []IDMap // mappings of the process's user namespace; nil if it is ours
	// Mount names the mount that a path in the container lies on by its place in
	// the configuration, "mounts[4]"; "" if it has none. May be nil.
	Mount func(mountPoint string) string
}

// IDMap is a range of user or group ids in a user namespace (Inside) and in
// ours (Outside).
type IDMap struct{ Inside, Outside, Size uint32 }

// Explain looks at the tree for the reason of a failing verdict and fills it
// in. It reads no file and opens nothing but directories and O_PATH
// descriptors beneath the root. It changes no status.
func (v *Verdict) Explain(t *Tree) {}
