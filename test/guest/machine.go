package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var errTime = errors.New("the guest ran out of time")

// machine is the size of a guest.
type machine struct {
	arch    string
	memory  int // MiB
	cpus    int
	limit   time.Duration
	verbose bool
	append  string // kernel parameters
	systemd bool   // systemd is PID 1 and the command a service
	// nested is for a command that runs machines itself, which takes two things.
	// A machine leaves pages full of translations that are of no use any more, and each write to such a page looks
	// through them: the second boot took three times as long as the first. A small cache, soon emptied, forgets them;
	// for other commands, which run the same code again and again, it costs a third.
	// And QEMU 7.2 loses an interrupt now and then: seen pending in the APIC of a processor that was halted with
	// interrupts enabled, for ever. do_vmexit clears a bit of interrupt_request without the lock that others are set under. It was
	// the timer's, which is set by its own handler; one that ticks all the time comes again.
	nested bool
}

// run boots a guest, executes argv in it in this working directory with this
// environment, and returns its exit status.
func (m machine) run(b boot, argv []string) (status int, err error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), m.limit, errTime)
	defer cancel()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()

	dir, err := os.MkdirTemp("", "ostia-guest-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := writeCommand(filepath.Join(dir, "command"), argv); err != nil {
		return 0, err
	}
	endShare, err := shareRoot(dir)
	if err != nil {
		return 0, err
	}
	defer endShare()

	cmd := exec.CommandContext(ctx, map[string]string{"amd64": "qemu-system-x86_64", "arm64": "qemu-system-aarch64"}[m.arch], m.arguments(b, dir)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Stdin = os.Stdin
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	// Pipes, because QEMU takes a passed descriptor only if its access mode is exactly the one it wants,
	// and a terminal's is not.
	copied := make(chan error, 2)
	for _, dst := range []*os.File{os.Stdout, os.Stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			return 0, err
		}
		cmd.ExtraFiles = append(cmd.ExtraFiles, w)
		defer w.Close()
		go func() {
			_, err := io.Copy(dst, r)
			copied <- err
		}()
	}
	runErr := cmd.Run()
	for _, w := range cmd.ExtraFiles {
		w.Close()
	}
	if err := errors.Join(<-copied, <-copied); err != nil {
		return 0, err
	}

	console, _ := os.ReadFile(filepath.Join(dir, "console"))
	if m.verbose {
		os.Stderr.Write(console)
	}
	answer, _ := os.ReadFile(filepath.Join(dir, "status"))
	if status, err := strconv.Atoi(strings.TrimSpace(string(answer))); err == nil {
		return status, nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return 0, cause
	}
	return 0, fmt.Errorf("no status came (%w) %s\n%s", runErr, complaint.String(), console)
}

// writeCommand writes what the guest's init executes: this process's
// environment, working directory and argv.
func writeCommand(path string, argv []string) error {
	var s strings.Builder
	for _, kv := range os.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		if strings.IndexFunc(name, notInName) < 0 && name != "" {
			s.WriteString("export " + name + "=" + quote(value) + "\n")
		}
	}
	wd, err := os.Getwd()
	if err != nil {
		return err
	}
	s.WriteString("export OSTIA_GUEST=1 TMPDIR=/run/tmp\ncd " + quote(wd) + " || exit 125\nexec")
	for _, arg := range argv {
		s.WriteString(" " + quote(arg))
	}
	return os.WriteFile(path, []byte(s.String()+"\n"), 0o755)
}

func notInName(r rune) bool {
	return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// shareRoot serves the root file system, read-only, on dir/root.sock.
func shareRoot(dir string) (end func(), err error) {
	socket := filepath.Join(dir, "root.sock")
	cmd := exec.Command("/usr/lib/qemu/virtiofsd", "--socket-path="+socket,
		"-o", "source=/,cache=always,sandbox=chroot,no_posix_lock")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a ^C ends the guest first
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	gone := make(chan struct{})
	go func() { cmd.Wait(); close(gone) }()
	end = func() { cmd.Process.Kill(); <-gone }
	for {
		if _, err := os.Stat(socket); err == nil {
			return end, nil
		}
		select {
		case <-gone:
			return nil, fmt.Errorf("virtiofsd: %s", complaint.String())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// arguments describes the machine. q35 because -M microvm hung in two boots
// of five; no_timer_check because the emulated timer is late on a busy host. One
// thread for all processors, because with one each QEMU 7.2 may keep its
// translation of code that another processor is patching: seen for a static key
// in __schedule, whose breakpoint (text_poke) was met for ever after it had gone.
func (m machine) arguments(b boot, dir string) []string {
	path := func(name string) string { return filepath.Join(dir, name) }
	mem := strconv.Itoa(m.memory) + "M"
	hardware := []string{"-machine", "q35,sata=off,smbus=off,i8042=off,vmport=off,memory-backend=ram", "-cpu", "max"}
	parameters := "console=ttyS0 reboot=t no_timer_check"
	if m.arch == "arm64" {
		hardware = []string{"-machine", "virt,gic-version=3,memory-backend=ram", "-cpu", "cortex-a72"}
		parameters = "console=ttyAMA0"
	}
	accelerator := "tcg,thread=single"
	if m.nested {
		accelerator += ",tb-size=64" // MiB
		parameters += " nohz=off highres=off"
	}
	var init string
	if b.root != "" {
		init = " guest_root=" + b.root
	}
	if m.systemd {
		init += " guest_systemd=" + b.systemd + " systemd.unit=guest.service"
	}
	return append(hardware,
		"-accel", accelerator, "-smp", strconv.Itoa(m.cpus), "-m", mem,
		"-object", "memory-backend-memfd,id=ram,share=on,size="+mem,
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-serial", "file:"+path("console"),
		"-chardev", "socket,id=root,path="+path("root.sock"),
		"-device", "vhost-user-fs-pci,chardev=root,tag=root",
		"-device", "virtio-serial-pci",
		"-chardev", "stdio,id=stdin,signal=off", "-device", "virtserialport,chardev=stdin,name=stdin",
		"-add-fd", "fd=3,set=1", "-chardev", "file,id=stdout,path=/dev/fdset/1,append=on", "-device", "virtserialport,chardev=stdout,name=stdout",
		"-add-fd", "fd=4,set=2", "-chardev", "file,id=stderr,path=/dev/fdset/2,append=on", "-device", "virtserialport,chardev=stderr,name=stderr",
		"-chardev", "file,id=status,path="+path("status"), "-device", "virtserialport,chardev=status,name=status",
		"-kernel", b.kernel, "-initrd", b.initrd,
		"-append", parameters+" quiet loglevel=4 panic=-1 mitigations=off"+
			" guest_dir="+dir+" guest_modules="+b.modules+init+" "+m.append,
	)
}
