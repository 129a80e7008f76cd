// Package prepare is what a create does on the host for a machine before the
// container's process exists: it asks whether KVM is fit, finds the kernel,
// makes or finds the files to boot from, and works out the machine's size. It
// hands back descriptors, so that nothing is looked up by path later.
package prepare

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"

	"ostia/internal/vm/kernel"
	"ostia/internal/vm/kvm"

	"golang.org/x/sys/unix"
)

// Setup is what the monitor is told.
type Setup struct {
	Config   string // config.json
	Memory   uint64 // bytes
	CPUs     int
	Cmdline  string // added to Cmdline
	Terminal bool
	Boot     int    // seconds that the guest may take to come up
	Answer   int    // and then to answer
	Bare     bool   // the kernel takes no initramfs: the descriptor is that of a folder
	Serial   bool   // what the kernel prints goes to standard error
	Nested   bool   // the guest sees the processor's virtualization
	Network  string // the host's network namespace, as /proc/self/ns/net names it
	Passt    string // the program that gives the guest its network, "" without
	Ports    string // on which that takes connections, as its options have them
}

// Cmdline is every guest's kernel command line. reboot=t: a reset without a
// chipset; panic=-1: at once; mitigations against a guest's own processes are
// left to the guest's default. The modules of the early console are not wanted.
// hvc0 is the virtio console, whose driver comes late; until then tty0, which shows
// nothing, is what a kernel opens for init.
const Cmdline = "reboot=t panic=-1 cryptomgr.notests pci=off tsc=reliable no_timer_check 8250.nr_uarts=0 console=tty0 console=hvc0 quiet"

// SingleCmdline is added for one processor: the kernel would rewrite its some ten
// thousand locked instructions, one by one, to save a few cycles at each.
const SingleCmdline = " noreplace-smp"

// SerialCmdline is added where the kernel is to print from its first word on.
const SerialCmdline = " earlyprintk=ttyS0,115200,keep ignore_loglevel"

// BareCmdline is added for a kernel without initramfs: its root is the agent's
// folder, by this tag, and its devices are named after it.
const (
	BareTag     = "agent"
	BareCmdline = " root=" + BareTag + " rootfstype=virtiofs ro init=/init devtmpfs.mount=1"
)

// Files are what a machine starts from. Their owner closes them. Wire is
// /dev/net/tun, opened by its path alone, since a tap belongs to the network
// namespace in which its device is opened, and nil on a host without. With
// passt(1) it is a socket, whose other end is Passt.
type Files struct{ KVM, Kernel, Initrd, Setup, Wire, Passt *os.File }

// New prepares a machine for the configuration text, whose root file system is
// at rootfs on the host.
func New(config, rootfs string) (*Files, error) {
	if runtime.GOARCH != "amd64" {
		return nil, fmt.Errorf("the microVM handler runs on amd64 alone, this host is %s", runtime.GOARCH)
	}
	w, err := wishesOf(config)
	if err != nil {
		return nil, err
	}
	if ignored(rootfs) {
		fmt.Fprintln(os.Stderr, "ostia: warning: .krun_vm.json in the image is ignored: an image does not choose its machine")
	}
	f := &Files{}
	if f.KVM, err = openKVM(); err != nil {
		return nil, err
	}
	path := w.kernel
	if path == "" {
		if path, err = administratorsKernel(); err != nil {
			return nil, err
		}
	}
	k, err := kernel.Find(path)
	if err != nil {
		return nil, err
	}
	c, err := open(k)
	if err != nil {
		return nil, err
	}
	if err := c.fit(f.KVM, k.Bare); err != nil {
		return nil, err
	}
	f.Kernel, f.Initrd = c.kernel, c.initrd
	passt := ""
	if w.passt == "" {
		f.Wire, err = openTun()
	} else if passt, err = findPasst(); err == nil {
		f.Wire, f.Passt, err = wire()
	}
	if err != nil {
		return nil, err
	}
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(Setup{Network: own, Passt: passt, Ports: w.passt, Config: config, Memory: w.memory, CPUs: w.cpus, Cmdline: w.cmdline, Terminal: w.terminal, Boot: w.boot, Answer: w.answer, Bare: k.Bare, Nested: w.nested, Serial: w.serial})
	if err != nil {
		return nil, err
	}
	f.Setup, err = memfile(text)
	return f, err
}

var errNoKVM = errors.New("the processor's virtualization is off or its module is not loaded (modprobe kvm_intel or kvm_amd)")

func openKVM() (*os.File, error) {
	const path = "/dev/kvm"
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	switch err {
	case nil:
		if err := kvm.Check(fd); err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return os.NewFile(uintptr(fd), path), nil
	case unix.ENOENT, unix.ENXIO, unix.ENODEV:
		return nil, fmt.Errorf("%s: %w: %w", path, err, errNoKVM)
	case unix.EACCES, unix.EPERM:
		return nil, fmt.Errorf("%s: %w: be root or a member of its group", path, err)
	}
	return nil, fmt.Errorf("%s: %w", path, err)
}

func openTun() (*os.File, error) {
	const path = "/dev/net/tun"
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// memfile is a sealed memory file.
func memfile(content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("setup", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("memfd: %w", err)
	}
	f := os.NewFile(uintptr(fd), "setup")
	if _, err := f.Write(content); err != nil {
		return nil, fmt.Errorf("memfd: %w", err)
	}
	if _, err := f.Seek(0, 0); err != nil {
		return nil, fmt.Errorf("memfd: %w", err)
	}
	_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	if err != nil {
		return nil, fmt.Errorf("memfd: %w", err)
	}
	return f, nil
}

// ignored reports whether the image holds krun's file.
func ignored(rootfs string) bool {
	fd, err := unix.Open(rootfs, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false // the stage says why
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	return unix.Fstatat(fd, ".krun_vm.json", &st, unix.AT_SYMLINK_NOFOLLOW) == nil
}
