package entrypoint_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log"
	"syscall"

	"ostia/entrypoint"

	"golang.org/x/sys/unix"
)

// image is what a builder knows of the files that it is about to pack.
type image map[string]file

type file struct {
	mode    fs.FileMode
	content string
}

// Probe stands in for the kernel that will run the image: as root, a regular
// file with any execute bit may be executed.
func (i image) Probe(path string) entrypoint.Probe {
	f, ok := i[path]
	switch {
	case !ok:
		return entrypoint.Probe{Errno: syscall.ENOENT}
	case !f.mode.IsRegular() || f.mode&0o111 == 0:
		return entrypoint.Probe{Errno: syscall.EACCES}
	}
	head := []byte(f.content)
	return entrypoint.Probe{Head: head[:min(len(head), entrypoint.HeadSize)], Size: int64(len(head))}
}

// A builder that has no root file system on disk brings a Prober of its own and
// says for which machine the image is.
func ExampleJudge() {
	files := image{
		"/usr/bin/run":   {0o755, "#!/bin/bash\nexec server\n"},
		"/usr/bin/start": {0o755, "#!/bin/sh\r\nexec server\r\n"},
		"/usr/bin/conf":  {0o644, "#!/bin/sh\n"},
		"/usr/bin/plain": {0o755, "exec server\n"},
	}
	host := &entrypoint.Host{Arch: "arm64"}
	env := []string{"PATH=/usr/bin"}
	for _, name := range []string{"run", "start", "conf", "plain", "server"} {
		v := entrypoint.Judge(files, host, []string{name}, env)
		fmt.Println(v.Status, v)
	}
	// Output:
	// 127 exec: "run": no such file or directory: its interpreter "/bin/bash" (line 1) does not exist in the image
	// 127 exec: "start": no such file or directory: its interpreter is "/bin/sh\r": the file has Windows line endings
	// 126 exec: "conf": permission denied
	// 126 exec: "plain": permission denied: exec format error: a text without a #! line (put #!/bin/sh first)
	// 127 exec: "server": executable file not found in $PATH
}

// An engine that has a root file system, and privilege, asks the kernel as the
// user of the container.
func ExampleOpen() {
	root, err := unix.Open("/var/lib/engine/rootfs", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		log.Fatal(err)
	}
	defer unix.Close(root)
	user := entrypoint.Credentials{UID: 1000, GID: 1000}
	args, env := []string{"/app/server"}, []string{"PATH=/usr/bin:/bin"}

	thread, err := entrypoint.Open(root, "/app", user)
	if err != nil {
		log.Fatal(err)
	}
	defer thread.Close()
	v := entrypoint.Judge(thread, entrypoint.ThisHost(), args, env)
	v.Explain(&entrypoint.Tree{Root: root, Cwd: "/app", Credentials: user, Args: args, Env: env})
	if err := v.Err(); err != nil {
		log.Fatal(err) // exec: "/app/server": permission denied: uid 1000 may not search /app (mode 0700, owner 0)
	}
}

// A runtime whose execve failed says so in the same words.
func ExampleFromErrno() {
	var err error = entrypoint.FromErrno("/app/server", "/app/server", syscall.ETXTBSY)
	var v *entrypoint.Verdict
	if errors.As(err, &v) {
		fmt.Println(v.Status, err)
	}
	fmt.Println(errors.Is(entrypoint.FromErrno("/x", "/x", syscall.ENOENT), fs.ErrNotExist))
	// Output:
	// 126 exec: "/app/server": permission denied: text file busy: some process has the file open for writing
	// true
}

func ExampleCandidates() {
	fmt.Printf("%q\n", entrypoint.Candidates("sh", []string{"PATH=/usr/bin:/bin/:"}))
	fmt.Printf("%q\n", entrypoint.Candidates("./sh", nil))
	fmt.Printf("%q\n", entrypoint.Candidates("sh", nil))
	// Output:
	// ["/usr/bin/sh" "/bin/sh" "./sh"]
	// ["./sh"]
	// []
}
