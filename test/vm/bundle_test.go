package vm

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

type object = map[string]any

// bundle makes a bundle whose program is a busybox's shell with script, from
// what `ostia spec` writes, and changes its configuration by edit.
func bundle(t *testing.T, script string, edit func(config object)) string {
	t.Helper()
	dir := t.TempDir()
	check(t, os.Chmod(dir, 0o755))
	root := filepath.Join(dir, "rootfs")
	for _, d := range []string{"bin", "etc", "tmp", "data", "home"} {
		check(t, os.MkdirAll(filepath.Join(root, d), 0o755))
	}
	content, err := os.ReadFile(os.Getenv("BUSYBOX"))
	check(t, err)
	check(t, os.WriteFile(root+"/bin/busybox", content, 0o755))
	for _, name := range []string{"sh", "cat", "echo", "sleep", "id", "ls", "stat", "stty", "nproc", "kill", "head", "grep", "dd", "mount", "touch", "free", "tail", "wc", "md5sum", "seq", "env", "hostname", "ip", "wget", "rm", "mkdir", "mv", "ln", "reboot", "poweroff", "ps", "sync", "cp", "chmod", "chown", "find", "sort", "test", "true", "mknod", "httpd", "sed"} {
		check(t, os.Symlink("busybox", root+"/bin/"+name))
	}
	spec := exec.Command(runtime, "spec")
	spec.Dir = dir
	if out, err := spec.CombinedOutput(); err != nil {
		t.Fatalf("spec: %v: %s", err, out)
	}
	text, err := os.ReadFile(dir + "/config.json")
	check(t, err)
	var config object
	check(t, json.Unmarshal(text, &config))
	process(config)["args"] = []string{"/bin/sh", "-c", script}
	process(config)["terminal"] = false
	config["root"].(object)["readonly"] = false
	if edit != nil {
		edit(config)
	}
	text, err = json.Marshal(config)
	check(t, err)
	check(t, os.WriteFile(dir+"/config.json", text, 0o644))
	return dir
}

func process(config object) object { return config["process"].(object) }

func annotate(config object, name, value string) {
	if config["annotations"] == nil {
		config["annotations"] = object{}
	}
	config["annotations"].(object)[name] = value
}

func addMount(config object, mount object) {
	config["mounts"] = append(config["mounts"].([]any), mount)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
