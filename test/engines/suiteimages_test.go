package engines

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// suiteImages are the images that critest pulls, by its names for them without
// their registries': of busybox and, where it talks to a web server, Debian's
// nginx and Apache.
func suiteImages() (registry, error) {
	r := newRegistry()
	// Unlike busybox-static this one looks for other programs where PATH says.
	base, err := layerOf(filepath.Join(cacheDir(), "web/bin/busybox"))
	if err != nil {
		return r, err
	}
	users, err := usersLayer("", "")
	if err != nil {
		return r, err
	}
	more, err := toolsLayer()
	if err != nil {
		return r, err
	}
	predefined, err := usersLayer("default-user:x:1000:1000::/home:/bin/sh\n", "default-user:x:1000:\ngroup-defined-in-image:x:50000:default-user\n")
	if err != nil {
		return r, err
	}
	web, err := webLayer()
	if err != nil {
		return r, err
	}
	image := func(name string, config map[string]any, layers ...[]byte) {
		whole := map[string]any{"Cmd": []string{"sh"}, "Env": []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}}
		maps.Copy(whole, config)
		if err == nil {
			err = r.image(name, whole, append([][]byte{base, users, more}, layers...)...)
		}
	}
	run := func(command ...string) map[string]any { return map[string]any{"Cmd": command} }
	as := func(user string) map[string]any { return map[string]any{"User": user} }

	// Not sleep: a test looks for processes of that name, and a pod has one PID namespace.
	pause := "trap 'exit 0' TERM; tail -f /dev/null & wait" // CRI-O waits long for one that does not end
	image("library/ostia-pause:latest", run("sh", "-c", pause))
	image("pause:3.9", run("sh", "-c", pause, "3.9"))
	image("library/ostia-test:latest", nil)
	const e2e = "e2e-test-images/"
	image(e2e+"busybox:1.29-2", nil)
	image(e2e+"nginx:1.14-2", run("nginx", "-c", "/etc/nginx/80.conf"), web)
	image(e2e+"httpd:2.4.39-4", run("apache2", "-f", "/etc/apache2/httpd.conf", "-D", "FOREGROUND"), web)
	image(e2e+"nonewprivs:1.3", run("/bin/setuid-bash", "-p", "-c", `echo "Effective uid: $EUID"`), web)
	const tools = "k8s-staging-cri-tools/"
	image(tools+"hostnet-nginx-"+runtime.GOARCH+":latest", run("nginx", "-c", "/etc/nginx/12003.conf"), web)
	image(tools+"test-image-predefined-group:latest", as("1000"), predefined)
	image(tools+"test-image-user-uid:latest", as("1002"))
	image(tools+"test-image-user-username:latest", as("www-data"))
	image(tools+"test-image-user-uid-group:latest", as("1003:users"))
	image(tools+"test-image-user-username-group:latest", as("www-data:100"))
	for _, name := range []string{"latest:latest", "digest:latest", "tag:test", "tag:all", "1:latest", "2:latest", "3:latest"} {
		image(tools+"test-image-"+name, run("true", name)) // all different
	}
	for _, tag := range []string{"1", "2", "3"} {
		image(tools+"test-image-tags:"+tag, run("true", "tags"))
	}
	return r, err
}

// usersLayer has the users and groups that the tests know, and more of them.
func usersLayer(users, groups string) ([]byte, error) {
	var b archive
	b.file("etc/passwd", 0o644, []byte(`root:x:0:0:root:/root:/bin/sh
www-data:x:33:33:www-data:/var/www:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
`+users))
	b.file("etc/group", 0o644, []byte("root:x:0:\nwww-data:x:33:\nusers:x:100:\nnogroup:x:65534:\n"+groups))
	return b.bytes()
}

// toolsLayer has what the tests run and Debian's busybox lacks.
func toolsLayer() ([]byte, error) {
	var b archive
	err := debian(&b, func(name string) bool {
		return name == "usr/bin/ipcs" || strings.Contains(name, "/ld-linux") || strings.HasSuffix(name, "/libc.so.6") || strings.HasSuffix(name, "/libresolv.so.2")
	})
	if err != nil {
		return nil, err
	}
	b.file("bin/pgrep", 0o755, []byte("#!/bin/sh\nexec pidof \"$@\"\n"))
	return b.bytes()
}

// debian adds files of Debian's packages.
func debian(b *archive, keep func(name string) bool) error {
	dir := filepath.Join(cacheDir(), "web")
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name := strings.TrimPrefix(path, dir+"/")
		if !keep(name) {
			return nil
		}
		if d.Type() == fs.ModeSymlink {
			target, err := os.Readlink(path)
			b.link(name, target)
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		b.file(name, 0o755, content)
		if name == "bin/bash" {
			b.file("bin/setuid-bash", 0o4755, content)
		}
		return nil
	})
}

// webLayer has the web servers, what they are linked with, their
// configurations, and a shell that keeps the privileges of a set-user-ID file.
func webLayer() ([]byte, error) {
	var b archive
	if err := debian(&b, func(name string) bool { return name != "bin/busybox" }); err != nil {
		return nil, err
	}
	for _, d := range []string{"etc/nginx", "etc/apache2", "var/run", "var/log/nginx", "var/lib/nginx", "srv"} {
		b.dir(d, 0o755)
	}
	b.file("srv/index.html", 0o644, []byte("<p>It works.\n"))
	for _, port := range []string{"80", "12003"} {
		b.file("etc/nginx/"+port+".conf", 0o644, []byte(`daemon off;
pid /var/run/nginx.pid;
error_log stderr notice;
events {}
http {
	access_log off;
	server {
		listen `+port+`;
		root /srv;
	}
}
`))
	}
	b.file("etc/apache2/httpd.conf", 0o644, []byte(`LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
ServerName httpd
PidFile /var/run/httpd.pid
Listen 80
User www-data
Group www-data
ErrorLog /dev/stderr
DocumentRoot /srv
`))
	return b.bytes()
}
