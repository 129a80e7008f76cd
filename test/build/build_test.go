// Package build states what `make` makes: the same binaries wherever it is
// called, and a Debian package that installs, works and goes without a trace.
package build

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// copySources copies the files that belong to the project into a new folder.
func copySources(t *testing.T) string {
	dir := t.TempDir()
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = "../.."
	files, err := list.Output()
	if err != nil {
		t.Skipf("not in a clone: %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(files), "\x00"), "\x00") {
		info, err := os.Stat(filepath.Join("../..", name))
		if os.IsNotExist(err) {
			continue // removed and not committed
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, text, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// run runs a program with a fixed time for what it makes.
func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000", "MAKEFLAGS=", "RUNTIME=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func hash(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// TestReproducible states that two folders with the same sources give the same
// binaries and the same package, to the byte.
func TestReproducible(t *testing.T) {
	one, two := copySources(t), copySources(t)
	artefacts := []string{"ostia", "ostia-vmm", "ostia-kernel", "ostia-criu"}
	_, err := exec.LookPath("dpkg-deb")
	if err == nil {
		artefacts = append(artefacts, "build/ostia.deb")
	}
	for _, dir := range []string{one, two} {
		run(t, dir, "make", "all")
		if err == nil {
			run(t, dir, "make", "deb", "DEB=build/ostia.deb")
		}
	}
	for _, name := range artefacts {
		if a, b := hash(t, filepath.Join(one, name)), hash(t, filepath.Join(two, name)); a != b {
			t.Errorf("%s has the hashes %s and %s", name, a, b)
		}
	}
}

// TestDebianPackage installs the package below a root of its own, uses it, and
// removes it again.
func TestDebianPackage(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("needs dpkg")
	}
	sources := copySources(t)
	run(t, sources, "make", "deb", "DEB=build/ostia.deb")
	deb := filepath.Join(sources, "build/ostia.deb")

	root := t.TempDir()
	for _, dir := range []string{"var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "var/lib/dpkg/status"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	dpkg := func(args ...string) {
		t.Helper()
		run(t, root, append([]string{"dpkg", "--root=" + root, "--log=/dev/null"}, args...)...)
	}
	dpkg("--install", deb)
	if out := run(t, root, filepath.Join(root, "usr/bin/ostia"), "--version"); !strings.HasPrefix(out, "ostia version ") {
		t.Error(out)
	}
	for _, path := range []string{"usr/bin/ostia-vmm", "usr/bin/ostia-kernel", "usr/bin/ostia-criu", "usr/share/man/man1/ostia-run.1.gz", "usr/share/bash-completion/completions/ostia",
		"usr/share/zsh/vendor-completions/_ostia", "usr/share/fish/vendor_completions.d/ostia.fish", "usr/share/doc/ostia/README.md.gz"} {
		if info, err := os.Stat(filepath.Join(root, path)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", path, err)
		}
	}
	bundle := t.TempDir()
	if err := os.Mkdir(filepath.Join(bundle, "rootfs"), 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, bundle, filepath.Join(root, "usr/bin/ostia"), "spec")
	if out := run(t, bundle, filepath.Join(root, "usr/bin/ostia"), "plan"); !strings.Contains(out, "pivot_root") {
		t.Error(out)
	}
	dpkg("--verify", "ostia")
	dpkg("--purge", "ostia")
	if left := tree(t, root); left != "" {
		t.Errorf("left behind:\n%s", left)
	}
}

// tree lists what is below a root, but for the folder of dpkg's own notes.
func tree(t *testing.T, root string) string {
	var b strings.Builder
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if rel := strings.TrimPrefix(path, root); err == nil && !strings.HasPrefix("/var/lib/dpkg/", rel+"/") && !strings.HasPrefix(rel, "/var/lib/dpkg/") {
			b.WriteString(rel + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
