package vm

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// What a network plugin has made in the container's namespace is the guest's,
// in both directions.
func TestNetwork(t *testing.T) {
	ns := connected(t, "vmnet", 77)
	ip(t, "-n vmnet link set eth0 mtu 1400 address 02:00:00:00:77:02")
	ip(t, "-n vmnet link set eth0 up")
	ip(t, "-n vmnet route add default via 10.77.0.1")
	ip(t, "-n vmnet route add 192.0.2.0/24 via 10.77.0.1 metric 7")
	server := serve(t, strings.Repeat("0123456789abcde\n", 1<<16))

	script := `ip -o link show eth0 | sed 's/.*mtu \([0-9]*\).*ether \([^ ]*\).*/\1 \2/'; ip -o address show eth0 | grep -c 'inet 10.77.0.2/24\|inet6 fd77::2/64'
ip route; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; wget -q -O - http://10.77.0.1:PORT/ | md5sum; wget -q -O - 'http://[fd77::1]:PORT/' | wc -c
echo "served by the machine" >/tmp/page; httpd -p 80 -h /tmp; echo up; while :; do sleep 1; done`
	shared := func(c object) {
		joinNamespace(c, ns)
		c["linux"].(object)["sysctl"] = object{"net.ipv4.ip_unprivileged_port_start": "77"}
	}
	dir := bundle(t, strings.ReplaceAll(script, "PORT", server), shared)
	id := name(t)
	output := start(t, id, dir, "up\n")
	text, err := os.ReadFile(output)
	check(t, err)
	want := "1400 02:00:00:00:77:02\n2\ndefault via 10.77.0.1 dev eth0 \n10.77.0.0/24 dev eth0 scope link  src 10.77.0.2 \n192.0.2.0/24 via 10.77.0.1 dev eth0  metric 7 \n" +
		"77\nf6671daa02ca47d12016abc835ca4a4d  -\n1048576\nup\n"
	if string(text) != want {
		t.Errorf("in the guest: %q, want %q", text, want)
	}
	for _, host := range []string{"10.77.0.2", "[fd77::2]"} {
		if page := get(t, "http://"+host+"/page"); page != "served by the machine\n" {
			t.Errorf("from %s: %q", host, page)
		}
	}
	t.Run("a second machine", func(t *testing.T) {
		r := runScript(t, "", "true", shared)
		if r.status != 125 || !strings.Contains(r.stderr, "network: eth0: tap: another machine in this network namespace has it") {
			t.Errorf("exit status %d, stderr %q", r.status, r.stderr)
		}
	})
	// A machine that ends leaves the device to the next.
	ostia(t, "", "kill", id, "KILL").want(t, 0, "")
	waitFor(t, "the end", func() bool { return stopped(t, id) })
	ostia(t, "", "delete", id).want(t, 0, "")
	runScript(t, "", "wget -q -O - http://10.77.0.1:"+server+"/ | wc -c", shared).want(t, 0, "1048576\n")
}

// With passt(1) a machine shares the addresses of its namespace with others.
func TestPasst(t *testing.T) {
	ns := connected(t, "vmpasst", 79)
	ip(t, "-n vmpasst link set eth0 up")
	ip(t, "-n vmpasst route add default via 10.79.0.1")
	ip(t, "-n vmpasst route add default via fd79::1")
	server := serve(t, strings.Repeat("0123456789abcde\n", 1<<16))

	shared := func(ports string) func(object) {
		return func(c object) {
			joinNamespace(c, ns)
			c["annotations"] = object{"krun.use_passt": "1", "org.ostia.vm.passt_ports": ports}
		}
	}
	const fetch = "wget -q -O - http://10.79.0.1:PORT/ | md5sum; wget -q -O - 'http://[fd79::1]:PORT/' | wc -c; "
	const fetched = "f6671daa02ca47d12016abc835ca4a4d  -\n1048576\n"
	script := "ip -o link show eth0 | sed 's/.*mtu \\([0-9]*\\).*/\\1/'; ip route | head -n 1; " + fetch +
		`echo "served by the machine" >/tmp/page; httpd -p 80 -h /tmp; echo up; while :; do sleep 1; done`
	dir := bundle(t, strings.ReplaceAll(script, "PORT", server), shared("80"))
	id := name(t)
	output := start(t, id, dir, "up\n")
	text, err := os.ReadFile(output)
	check(t, err)
	if want := "65520\ndefault via 10.79.0.1 dev eth0 \n" + fetched + "up\n"; string(text) != want {
		t.Errorf("in the guest: %q, want %q", text, want)
	}
	for _, host := range []string{"10.79.0.2", "[fd79::2]"} {
		if page := get(t, "http://"+host+"/page"); page != "served by the machine\n" {
			t.Errorf("from %s: %q", host, page)
		}
	}
	t.Run("a second machine", func(t *testing.T) {
		runScript(t, "", strings.ReplaceAll(fetch, "PORT", server), shared("none")).want(t, 0, fetched)
	})
	// passt ends with its machine.
	ostia(t, "", "kill", id, "KILL").want(t, 0, "")
	waitFor(t, "the end", func() bool { return stopped(t, id) })
	waitFor(t, "the end of passt", func() bool {
		left, err := exec.Command("pgrep", "passt").Output()
		var none *exec.ExitError
		if err != nil && (!errors.As(err, &none) || none.ExitCode() != 1) {
			t.Fatal(err)
		}
		return len(left) == 0
	})
	ostia(t, "", "delete", id).want(t, 0, "")

	t.Run("nothing to go out by", func(t *testing.T) {
		r := runScript(t, "", "true", func(c object) { c["annotations"] = object{"krun.use_passt": "1"} })
		if r.status != 125 || !strings.HasSuffix(r.stderr, ": annotations.krun.use_passt: passt(1): exit status 1: no Ethernet device of the container's network namespace is up and has an address and a default route\n") {
			t.Errorf("exit status %d, stderr %q", r.status, r.stderr)
		}
	})
	t.Run("no such ports", func(t *testing.T) {
		r := runScript(t, "", "true", shared("no port"))
		if r.status != 125 || !strings.HasSuffix(r.stderr, ": annotations.krun.use_passt: passt(1): exit status 1: Invalid port specifier no port (annotation org.ostia.vm.passt_ports)\n") {
			t.Errorf("exit status %d, stderr %q", r.status, r.stderr)
		}
	})
}

// An engine may make the network of a new namespace in a hook.
func TestNetworkByHook(t *testing.T) {
	server := serve(t, "hooked\n")
	dir := t.TempDir()
	hook := dir + "/hook"
	check(t, os.WriteFile(hook, []byte(`#!/bin/sh
set -eu
pid=$(sed 's/.*"pid": *\([0-9]*\).*/\1/')
ip link add vmhook0 type veth peer name net7 netns "$pid"
ip address add 10.78.0.1/24 dev vmhook0
ip link set vmhook0 up
nsenter -t "$pid" -n ip address add 10.78.0.2/24 dev net7
nsenter -t "$pid" -n ip link set net7 up
`), 0o755))
	runScript(t, "", "wget -q -O - http://10.78.0.1:"+server+"/; ip -o link show | wc -l", func(c object) {
		c["hooks"] = object{"createRuntime": []object{{"path": hook, "env": []string{"PATH=" + os.Getenv("PATH")}}}}
	}).want(t, 0, "hooked\n2\n")
}

// connected makes a network namespace whose eth0, which is down yet, has 10.N.0.2
// and fdN::2 behind a device of this one with 10.N.0.1 and fdN::1.
func connected(t *testing.T, name string, n int) string {
	t.Helper()
	path, device := namespace(t, name), name+"0"
	ip(t, fmt.Sprintf("link add %s type veth peer name eth0 netns %s", device, name))
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", device).Run() }) // gone with the namespace
	ip(t, fmt.Sprintf("address add 10.%d.0.1/24 dev %s", n, device))
	ip(t, fmt.Sprintf("address add fd%d::1/64 dev %s nodad", n, device))
	ip(t, "link set "+device+" up")
	ip(t, fmt.Sprintf("-n %s address add 10.%d.0.2/24 dev eth0", name, n))
	ip(t, fmt.Sprintf("-n %s address add fd%d::2/64 dev eth0 nodad", name, n))
	return path
}

// namespace makes a network namespace and returns its path.
func namespace(t *testing.T, name string) string {
	t.Helper()
	ip(t, "netns add "+name)
	t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", name).CombinedOutput(); err != nil {
			t.Errorf("ip netns del %s: %v: %s", name, err, out)
		}
	})
	return "/run/netns/" + name
}

func ip(t *testing.T, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

func joinNamespace(c object, path string) {
	for _, n := range c["linux"].(object)["namespaces"].([]any) {
		if n := n.(object); n["type"] == "network" {
			n["path"] = path
		}
	}
}

// serve answers every request with text, and returns its port.
func serve(t *testing.T, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	check(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })) // until it is closed
	}()
	_, port, err := net.SplitHostPort(l.Addr().String())
	check(t, err)
	return port
}

func get(t *testing.T, url string) string {
	t.Helper()
	c := http.Client{Timeout: time.Minute}
	r, err := c.Get(url)
	check(t, err)
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	check(t, err)
	return string(b)
}
