package engines

import (
	"os"
	"path/filepath"
)

// packagesDir is where test/deps engines has unpacked Debian's packages.
func packagesDir() string {
	cache := os.Getenv("OSTIA_CACHE")
	if cache == "" {
		dir, _ := os.UserCacheDir()
		cache = filepath.Join(dir, "ostia")
	}
	return filepath.Join(cache, "engines")
}
