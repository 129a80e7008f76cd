package engines

import (
	"os"
	"path/filepath"
)

// packagesDir is where Debian's packages are inside the room, for every user.
const packagesDir = "/run/packages"

// debianEngines is where their programs are.
const debianEngines = packagesDir + "/usr/bin"

// unpackedDir is where test/deps engines has unpacked them.
func unpackedDir() string { return filepath.Join(cacheDir(), "engines") }

// cacheDir is where test/deps unpacks.
func cacheDir() string {
	cache := os.Getenv("OSTIA_CACHE")
	if cache == "" {
		dir, _ := os.UserCacheDir()
		cache = filepath.Join(dir, "ostia")
	}
	return cache
}
