package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ostia/internal/vm/guest"
	"ostia/internal/vm/initramfs"
	"ostia/internal/vm/prepare"
	"ostia/internal/vm/wire"

	"golang.org/x/sys/unix"
)

const (
	qemu      = "/usr/bin/qemu-system-x86_64"
	virtiofsd = "/usr/lib/qemu/virtiofsd"
	// What of a PC a guest does without; the clock is left, since Linux polls
	// for one that is not there.
	machineType = "microvm,acpi=on,rtc=on,pic=off,pit=off,isa-serial=off"
	// What docs/system/i386/microvm.rst of QEMU proposes.
	manualType    = "microvm,x-option-roms=off,pit=off,pic=off,isa-serial=off,rtc=off"
	manualCmdline = "reboot=t panic=-1 quiet"
	cid           = 3
)

// qemuArgs is the same machine as ostia's: size, devices, kernel, initramfs and
// command line; as its manual has it, with the type that that proposes and no
// more of a command line than the initramfs needs.
func (f *field) qemuArgs(who, dir string) []string {
	machine, cmdline := f.machine, prepare.Cmdline+prepare.SingleCmdline
	if who == isManual {
		machine, cmdline = manualType, manualCmdline
	}
	const mem = "512M"
	return []string{
		"-machine", machine + ",memory-backend=ram", "-accel", "kvm", "-cpu", "host", "-m", mem, "-smp", "1",
		"-object", "memory-backend-memfd,id=ram,share=on,size=" + mem,
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-global", "virtio-mmio.force-legacy=false",
		"-chardev", "socket,id=root,path=" + dir + "/root.sock", "-device", "vhost-user-fs-device,chardev=root,tag=" + guest.Tag,
		"-device", fmt.Sprintf("vhost-vsock-device,guest-cid=%d", cid), "-device", "virtio-rng-device", "-device", "virtio-balloon-device,free-page-reporting=on",
		"-chardev", "null,id=console", "-device", "virtio-serial-device", "-device", "virtconsole,chardev=console",
		"-kernel", f.kernel, "-initrd", dir + "/initrd", "-append", cmdline,
	}
}

func (f *field) fsArgs(dir string) []string {
	return []string{"--socket-path=" + dir + "/root.sock", "-o", "source=" + f.root() + ",cache=auto,sandbox=chroot,no_posix_lock"}
}

// peer is a machine of QEMU's or cloud-hypervisor's that runs the same container
// in the same guest.
type peer struct {
	f         *field
	who, dir  string
	fs, vmm   *process
	listeners []net.Listener
}

// preparePeer makes what an engine would have made before: a folder, with the
// guest's description behind the initramfs.
func (f *field) preparePeer(who string) (p *peer, err error) {
	p = &peer{f: f, who: who}
	if p.dir, err = os.MkdirTemp(f.dir, "peer-"); err != nil {
		return nil, err
	}
	var more []byte
	if who == isCloud {
		if more, err = pciModules(); err == nil {
			p.listeners, err = hearUnix(p.dir)
		}
	}
	if err == nil {
		err = f.describe(filepath.Join(p.dir, "initrd"), more)
	}
	return p, err
}

// start starts virtiofsd and the monitor.
func (p *peer) start(ctx context.Context) error {
	f, err := p.f, error(nil)
	if p.fs, err = f.start(ctx, virtiofsd, f.fsArgs(p.dir)...); err != nil {
		return err
	}
	for {
		if _, err := os.Stat(p.dir + "/root.sock"); err == nil {
			break
		}
		if ctx.Err() != nil {
			return fmt.Errorf("virtiofsd: %w: %s", ctx.Err(), p.fs.said())
		}
		time.Sleep(time.Millisecond)
	}
	if p.who == isCloud {
		p.vmm, err = f.start(ctx, f.cloud, f.cloudArgs(p.dir)...)
	} else {
		p.vmm, err = f.start(ctx, qemu, f.qemuArgs(p.who, p.dir)...)
	}
	return err
}

func (p *peer) program() *process { return p.vmm }

// end adds what both have said to an error.
func (p *peer) end(err *error) {
	for _, x := range []*process{p.vmm, p.fs} {
		if x == nil {
			continue
		}
		if said := x.said(); *err != nil && said != "" {
			*err = fmt.Errorf("%w: %s: %s", *err, filepath.Base(x.cmd.Path), said)
		}
		x.kill()
	}
	for _, l := range p.listeners {
		l.Close()
	}
	_ = os.RemoveAll(p.dir)
}

// describe writes ostia's initramfs with the container's description behind it,
// as the monitor puts it into memory, and more archives.
func (f *field) describe(path string, more []byte) error {
	text, err := os.ReadFile(f.dir + "/config.json")
	if err != nil {
		return err
	}
	config, sysctls, err := guest.Config(text, "machine", func(path string) (string, error) { return path, nil })
	if err != nil {
		return err
	}
	machine := guest.Machine{Config: string(config), Sysctls: sysctls}
	archive, err := os.ReadFile(f.initrd)
	if err != nil {
		return err
	}
	for len(archive)%4 != 0 {
		archive = append(archive, 0)
	}
	archive = append(append(archive, initramfs.Extra(initramfs.Config, machine.Text())...), more...)
	return os.WriteFile(path, archive, 0o600)
}

// hear listens for the agents of QEMU's guests, as ostia's monitor does, and
// reads what they and their processes say. No input is given.
func hear() error {
	for _, port := range []uint32{wire.ControlPort, wire.StreamPort} {
		fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("vsock: %w (modprobe vhost_vsock)", err)
		}
		if err = unix.Bind(fd, &unix.SockaddrVM{CID: unix.VMADDR_CID_ANY, Port: port}); err == nil {
			err = unix.Listen(fd, 8)
		}
		if err != nil {
			return fmt.Errorf("vsock port %d: %w", port, err)
		}
		go accept(fd)
	}
	return nil
}

func accept(listener int) {
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
		if err != nil {
			continue
		}
		go drain(os.NewFile(uintptr(fd), "vsock"))
	}
}

func drain(c io.ReadCloser) {
	_, _ = io.Copy(os.Stderr, onlyFaults{c})
	c.Close()
}

// onlyFaults reads to the end and gives on what the agent complains of.
type onlyFaults struct{ r io.Reader }

func (o onlyFaults) Read(b []byte) (int, error) {
	n, err := o.r.Read(b)
	if s := string(b[:n]); !strings.Contains(s, `"failed"`) && !strings.Contains(s, `"fault"`) {
		n = 0
	}
	if n == 0 && err == nil {
		return 0, nil
	}
	return n, err
}
