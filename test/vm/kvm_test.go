package vm

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Without a KVM that can run a guest, create fails before it has made anything,
// and says what is missing. The host's own is tried too: it either runs the
// container, or is refused as well.
func TestKVM(t *testing.T) {
	full(t)
	dir := bundle(t, "exit 7", func(c object) {
		if kernels, _ := filepath.Glob(os.Getenv("OSTIA_CACHE") + "/linux-image-cloud-amd64/boot/vmlinuz-*"); len(kernels) > 0 {
			annotate(c, "org.ostia.vm.kernel", kernels[0])
		}
	})
	// A /dev without KVM: a single file of a devtmpfs cannot be taken away from one process.
	missing := `d=$(mktemp -d); mount -t tmpfs dev $d
for n in null zero full random urandom tty; do touch $d/$n; mount --bind /dev/$n $d/$n; done
mkdir $d/pts; mount --bind /dev/pts $d/pts; ln -s pts/ptmx $d/ptmx; mount --move $d /dev; rmdir $d`
	for _, c := range []struct{ name, before, reason, doctor string }{
		{"missing", missing, "/dev/kvm: no such file or directory: the processor's virtualization is off or its module is not loaded", "/dev/kvm: no such file or directory"},
		{"no driver", missing + "; mknod /dev/kvm c 10 254", "/dev/kvm: no such device: the processor's virtualization is off or its module is not loaded", "/dev/kvm: no such device"},
		// What lies on a mount with nodev not even root may open.
		{"not permitted", missing + "; mknod /dev/kvm c 10 232; mount -o remount,nodev /dev", "/dev/kvm: permission denied: be root or a member of its group", "/dev/kvm is not permitted"},
		{"something else", "mount --bind /dev/zero /dev/kvm", "/dev/kvm: kvm: api version: inappropriate ioctl for device", "/dev/kvm does not speak version 12"},
		{"as it is", ":", "/dev/kvm: ", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.doctor != "" {
				doctor(t, c.before, `absent +KVM +`+c.doctor+`: microVMs cannot be used: `)
			}
			for _, command := range []string{"run", "create"} {
				id := name(t)
				run := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-ec", c.before+`; exec "$@"`, "sh",
					runtime, "--root", state, "--handler", "vm", command, "--bundle", dir, id)
				stderr := temporary(t)
				run.Stderr = stderr
				err := run.Run()
				status := run.ProcessState.ExitCode()
				if said := content(t, stderr); c.name == "as it is" && (status == 0 || status == 7) {
					ostia(t, "", "delete", "--force", id).want(t, 0, "")
				} else if status != 125 || !strings.Contains(said, c.reason) || strings.Count(said, "\n") != 1 {
					t.Errorf("%s: %v, stderr %q, want 125 and %q", command, err, said, c.reason)
				}
				nothingLeft(t, id)
			}
		})
	}
}

// doctor names a libkrun that loses exit statuses, and leaves a fit one alone.
func TestDoctorKrun(t *testing.T) {
	full(t)
	for version, want := range map[string]string{
		"1.11.2": `absent +libkrun +/usr/local/lib/libkrun\.so\.1\.11\.2: unfit: before 1\.12\.0 it loses exit statuses: update it`,
		"1.12.0": `ok +libkrun +/usr/local/lib/libkrun\.so\.1\.12\.0\n`,
	} {
		doctor(t, "mount -t tmpfs tmpfs /usr/local/lib; touch /usr/local/lib/libkrun.so."+version, want)
	}
}

// doctor wants something of what doctor says after commands in a mount
// namespace of its own.
func doctor(t *testing.T, before, want string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-ec", before+`; exec "$@"`, "sh", runtime, "doctor").CombinedOutput()
	if err != nil || !regexp.MustCompile(want).Match(out) {
		t.Errorf("doctor after %q: %v, want %q in:\n%s", before, err, want, out)
	}
}
