package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"ostia/internal/vm/guest"
	"ostia/internal/vm/initramfs"
	"ostia/internal/vm/prepare"
	"ostia/internal/vm/wire"

	"golang.org/x/sys/unix"
)

// besideCloud compares with cloud-hypervisor what other parts compare with QEMU.
func (f *field) besideCloud() ([]result, error) {
	took, err := f.boots(isOstia, isCloud)
	if err != nil {
		return nil, err
	}
	sizes, err := f.resident(isOstia, isCloud)
	if err != nil {
		return nil, err
	}
	exits, err := f.exitsBeside(isCloud, ", cloud-hypervisor", "")
	return append([]result{
		compare(untilEntryPoint+", cloud-hypervisor", "s", "", took[0], took[1]),
		compare("resident besides the guest's memory, cloud-hypervisor with virtiofsd", "MiB", "", sizes[:1], sizes[1:]),
	}, exits...), err
}

// cloudArgs is the same machine as ostia's: size, devices, kernel, initramfs and
// command line, but for pci=off, since it has virtio over PCI alone.
func (f *field) cloudArgs(dir string) []string {
	return []string{
		"--cpus", "boot=1", "--memory", "size=512M,shared=on",
		"--fs", "tag=" + guest.Tag + ",socket=" + dir + "/root.sock", "--vsock", fmt.Sprintf("cid=%d,socket=%s/vsock", cid, dir),
		"--rng", "src=/dev/urandom", "--balloon", "size=0,free_page_reporting=on", "--console", "null", "--serial", "off",
		"--kernel", f.kernel, "--initramfs", dir + "/initrd",
		"--cmdline", strings.Replace(prepare.Cmdline, " pci=off", "", 1) + prepare.SingleCmdline,
	}
}

// pciModules are the archives of the modules for virtio over PCI, which ostia's
// initramfs has not; its agent loads them after the others, in this order.
func pciModules() (all []byte, err error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil, err
	}
	for i, name := range []string{"virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci"} {
		content, err := os.ReadFile(filepath.Join("/lib/modules", unix.ByteSliceToString(u.Release[:]), "kernel/drivers/virtio", name+".ko"))
		if err != nil {
			return nil, err
		}
		// As those of ostia's, not to be verified.
		content = bytes.TrimSuffix(content, []byte(initramfs.MarkEnd))
		all = append(all, initramfs.Extra(fmt.Sprintf("%s/9%d-%s", initramfs.Modules, i, name), content)...)
	}
	return all, nil
}

// hearUnix is hear for a machine whose vsock is a socket of its own per port.
func hearUnix(dir string) (listeners []net.Listener, err error) {
	for _, port := range []uint32{wire.ControlPort, wire.StreamPort} {
		l, err := net.Listen("unix", fmt.Sprintf("%s/vsock_%d", dir, port))
		if err != nil {
			return nil, err
		}
		listeners = append(listeners, l)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return // closed with its machine
				}
				go drain(c)
			}
		}()
	}
	return listeners, nil
}
