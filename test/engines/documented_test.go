package engines

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// documented is the configuration of an engine that docs/engines.md gives, the
// first block after the engine's name, for the runtime at this path.
func documented(engine, runtime string) (string, error) {
	installed := "/usr/local/bin/" + filepath.Base(runtime)
	page, err := os.ReadFile("../../docs/engines.md")
	if err != nil {
		return "", err
	}
	_, part, found := strings.Cut(string(page), "\n**"+engine+"**")
	if !found {
		return "", fmt.Errorf("docs/engines.md does not know %s", engine)
	}
	parts := strings.SplitN(part, "\n```\n", 3)
	if len(parts) < 3 || !strings.Contains(parts[1], installed) {
		return "", fmt.Errorf("docs/engines.md gives no configuration for %s", engine)
	}
	return strings.ReplaceAll(parts[1], installed, runtime) + "\n", nil
}
