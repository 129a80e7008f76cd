package engines

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"ostia/test/entrypoints"
)

// What every engine calls the images: one to run programs of, and one that
// does nothing for long, as the sandbox of a pod does.
const (
	imageName = "docker.io/library/ostia-test:latest"
	pauseName = "docker.io/library/ostia-pause:latest"
)

// writeImages writes an archive that podman load, docker load and ctr images
// import all read: of one layer, with busybox and bad entry points.
func writeImages(path, busybox string) error {
	layer, err := layerOf(busybox)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(layer)
	var b archive
	b.file("layer.tar", 0o644, layer)
	var manifest []map[string]any
	for name, command := range map[string][]string{imageName: {"sh"}, pauseName: {"sleep", "1000000"}} {
		config, err := json.Marshal(map[string]any{
			"architecture": runtime.GOARCH,
			"os":           "linux",
			"config": map[string]any{
				"Env": []string{"PATH=/usr/local/bin:/usr/bin:/bin"},
				"Cmd": command,
			},
			"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(sum[:])}},
		})
		if err != nil {
			return err
		}
		file := command[0] + ".json"
		b.file(file, 0o644, config)
		manifest = append(manifest, map[string]any{"Config": file, "RepoTags": []string{name}, "Layers": []string{"layer.tar"}})
	}
	list, err := json.Marshal(manifest)
	if err != nil {
		return err
	}
	b.file("manifest.json", 0o644, list)
	whole, err := b.bytes()
	if err != nil {
		return err
	}
	return os.WriteFile(path, whole, 0o644)
}

func layerOf(busybox string) ([]byte, error) {
	program, err := os.ReadFile(busybox)
	if err != nil {
		return nil, err
	}
	applets, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		return nil, err
	}
	var b archive
	for _, dir := range []string{"bin", "dev", "etc", "opt", "proc", "root", "run", "sys", "usr", "usr/bin", "usr/local", "usr/local/bin", "var"} {
		b.dir(dir, 0o755)
	}
	b.dir("tmp", 0o1777)
	b.file("bin/busybox", 0o755, program)
	for name := range strings.FieldsSeq(string(applets)) {
		if name != "busybox" {
			b.hardLink("bin/"+name, "bin/busybox") // as in busybox's own image: a mask over one of them is over no other
		}
	}
	b.file("etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n"))
	b.file("etc/group", 0o644, []byte("root:x:0:\nuser:x:1000:\n"))

	foreign, _ := entrypoints.Foreign()
	hello := entrypoints.Program(entrypoints.Native(), "hello\n")
	b.dir("opt/directory", 0o755)
	b.file("opt/mode-000", 0o000, hello)
	b.file("opt/mode-644", 0o644, hello)
	b.file("opt/root-only", 0o700, hello)
	b.file("opt/crlf", 0o755, []byte("#!/bin/sh\r\necho hello\r\n"))
	b.file("opt/no-bash", 0o755, []byte("#!/bin/bash\necho hello\n"))
	b.file("opt/text", 0o755, []byte("echo hello\n"))
	b.file("opt/foreign", 0o755, entrypoints.Program(foreign, "hello\n"))
	b.file("opt/no-loader", 0o755, entrypoints.Dynamic(entrypoints.Native(), "/lib/ld-musl-test.so.1"))
	return b.bytes()
}

// archive is a tar file until the first error.
type archive struct {
	buf bytes.Buffer
	w   *tar.Writer
	err error
}

func (a *archive) add(h tar.Header, content []byte) {
	if a.w == nil {
		a.w = tar.NewWriter(&a.buf)
	}
	h.Size = int64(len(content))
	if a.err == nil {
		a.err = a.w.WriteHeader(&h)
	}
	if a.err == nil {
		_, a.err = a.w.Write(content)
	}
}

func (a *archive) dir(name string, mode int64) {
	a.add(tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode}, nil)
}

func (a *archive) file(name string, mode int64, content []byte) {
	a.add(tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode}, content)
}

func (a *archive) link(name, target string) {
	a.add(tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}, nil)
}

func (a *archive) hardLink(name, target string) {
	a.add(tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target, Mode: 0o755}, nil)
}

func (a *archive) bytes() ([]byte, error) {
	if a.err != nil {
		return nil, a.err
	}
	err := a.w.Close()
	return a.buf.Bytes(), err
}
