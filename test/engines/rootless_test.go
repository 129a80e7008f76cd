package engines

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// The ordinary user of rootless podman. It exists only in the room.
const (
	rootlessUID  = 54321
	rootlessName = "engineer"
)

func TestPodmanRootless(t *testing.T) {
	s := prepare(t)
	check(t, addUser(roomDir+"/etc"))
	dir := roomDir + "/rootless"
	p, err := newPodman(dir, s.runtime)
	check(t, err)
	check(t, asUser(p.command, dir))
	if out, err := exec.Command(p.command, "load", "-q", "-i", s.image).CombinedOutput(); err != nil {
		t.Fatalf("podman load: %v\n%s", err, out)
	}
	s.run(t, "rootless", "PATH="+filepath.Dir(p.command)+":"+os.Getenv("PATH"))
}

// addUser lays files of dir over those that say who exists and has which
// subordinate ids.
func addUser(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	uid := strconv.Itoa(rootlessUID)
	for name, content := range map[string]string{
		"passwd": "root:x:0:0:root:/root:/bin/sh\n" + rootlessName + ":x:" + uid + ":" + uid + "::/tmp:/bin/sh\n",
		"group":  "root:x:0:\n" + rootlessName + ":x:" + uid + ":\n",
		"subuid": rootlessName + ":200000:65536\n",
		"subgid": rootlessName + ":200000:65536\n",
	} {
		over, under := filepath.Join(dir, name), filepath.Join("/etc", name)
		if err := os.WriteFile(over, []byte(content), 0o644); err != nil {
			return err
		}
		if err := syscall.Mount(over, under, "", syscall.MS_BIND, ""); err != nil {
			return err
		}
	}
	return nil
}

// asUser makes a podman the user's: its files in dir, and the command, which
// changes the user and then is what it was.
func asUser(command, dir string) error {
	if err := os.Rename(command, command+".real"); err != nil {
		return err
	}
	uid := strconv.Itoa(rootlessUID)
	wrapper := `#!/bin/sh
export XDG_RUNTIME_DIR=` + dir + ` TMPDIR=` + dir + ` USER=` + rootlessName + `
exec setpriv --reuid ` + uid + ` --regid ` + uid + ` --clear-groups --inh-caps=-all ` + command + `.real "$@"
`
	if err := os.WriteFile(command, []byte(wrapper), 0o755); err != nil {
		return err
	}
	return exec.Command("chown", "-R", uid+":"+uid, dir).Run()
}
