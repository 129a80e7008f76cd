package stage_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"ostia/internal/stage"

	"golang.org/x/sys/unix"
)

// emulator finds qemu-user's program for an architecture.
func emulator(arch string) (string, error) {
	name := "qemu-" + map[string]string{"amd64": "x86_64", "arm64": "aarch64", "riscv64": "riscv64"}[arch]
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return exec.LookPath(name + "-static")
}

const said = "cell\niovec\nignored\nelse\nthen\nabc\nchild\nagain\nenough\nfailed\n"

// TestEveryKindOfOp runs one program with every kind of op on every
// architecture, on the host's natively.
func TestEveryKindOfOp(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64", "riscv64"} {
		t.Run(arch, func(t *testing.T) {
			var emulate []string
			if arch != runtime.GOARCH {
				path, err := emulator(arch)
				if err != nil {
					t.Skipf("%v (Debian: qemu-user; test/deps installs it)", err)
				}
				emulate = []string{path}
			}
			dir := t.TempDir()
			maker, image := filepath.Join(dir, "maker"), filepath.Join(dir, "image")
			build := exec.Command("go", "build", "-o", maker, "./testdata/image")
			build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch)
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("go build: %v\n%s", err, out)
			}
			elf, err := command(emulate, maker).Output()
			if err != nil {
				t.Fatalf("make the image: %v", err)
			}
			if err := os.WriteFile(image, elf, 0o755); err != nil {
				t.Fatal(err)
			}
			var stderr bytes.Buffer
			run := command(emulate, image)
			run.Stderr = &stderr
			out, err := run.Output()
			if string(out) != said {
				t.Errorf("the program said %q, want %q\n%s", out, said, stderr.String())
			}
			if code := run.ProcessState.ExitCode(); code != int(unix.EXDEV) {
				t.Errorf("exit status %d (%v), want %d", code, err, unix.EXDEV)
			}
		})
	}
}

func command(emulate []string, path string) *exec.Cmd {
	argv := append(emulate[:len(emulate):len(emulate)], path)
	return exec.Command(argv[0], argv[1:]...)
}

// TestFailedNamesTheOp: the address in a failure record leads to the op's
// words.
func TestFailedNamesTheOp(t *testing.T) {
	p := stage.New()
	p.Place(stage.Failure)
	p.About("mounts", 3, "/data")
	p.Do("bind /srv/data", unix.SYS_OPEN_TREE)
	const first, size = 0x400200, 36
	note, ok := p.Failed(first + size)
	if got, want := note.String(), "mounts[3] /data: bind /srv/data"; !ok || got != want {
		t.Errorf("Failed = %q, %v; want %q", got, ok, want)
	}
	for _, address := range []uint32{0, first, first + 2*size, 1 << 31} {
		if _, ok := p.Failed(address); ok {
			t.Errorf("Failed(%#x) names an op", address)
		}
	}
}
