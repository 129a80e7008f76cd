// Package monitor runs a container's machine: it takes the place of the entry
// point as the container's process, serves the guest its tree, hands on stdio,
// signals and exit status, and ends with what the entry point ended with. No
// status is a failure, with its reason.
package monitor

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"ostia/internal/program"
	"ostia/internal/state"
	"ostia/internal/vm/balloon"
	"ostia/internal/vm/boot"
	"ostia/internal/vm/console"
	"ostia/internal/vm/entropy"
	"ostia/internal/vm/guest"
	"ostia/internal/vm/initramfs"
	"ostia/internal/vm/machine"
	"ostia/internal/vm/prepare"
	"ostia/internal/vm/virtio"
	"ostia/internal/vm/virtiofs"
	"ostia/internal/vm/virtionet"
	"ostia/internal/vm/vsock"
	"ostia/internal/vm/wire"

	"golang.org/x/sys/unix"
)

// Files are the descriptors that the runtime hands over.
type Files struct {
	KVM     int
	Kernel  int
	Initrd  int
	Setup   int  // a prepare.Setup as JSON
	Control int  // listening socket for execs
	Reason  int  // takes why the machine ended without a status
	Wire    int  // /dev/net/tun, opened by its path alone, -1 on a host without; or a socket to passt
	Trace   int  // takes the phases of --trace; -1 for none
	Alone   bool // nobody waits for the end who would say why there is no status
}

// statusFailed is the exit status when none came from the guest.
const statusFailed = 125

// Main runs the machine and returns the exit status.
func Main(f Files) int {
	signals := catchSignals()
	status, err := run(f, signals)
	reason := state.ReasonNone
	if err != nil {
		reason, status = err.Error(), statusFailed
	}
	if _, err := unix.Pwrite(f.Reason, []byte(reason), 0); err != nil {
		return statusFailed
	}
	if err != nil && f.Alone {
		complain(err)
	}
	return status
}

// stderr is the container's standard error. Nobody need read it any more: a write
// by package os would end this process.
type stderr struct{}

func (stderr) Write(p []byte) (int, error) { return len(p), writeAll(2, p) }

// complain says on the container's standard error, which engines keep, why the
// machine failed. Whoever does not read it does not keep the monitor from ending.
func complain(err error) {
	if n, _ := unix.Poll([]unix.PollFd{{Fd: 2, Events: unix.POLLOUT}}, 1000); n > 0 {
		_, _ = unix.Write(2, []byte("ostia: the container's machine failed: "+program.OneLine(err.Error())+"\n")) // the reason file has it too
	}
}

func run(f Files, signals <-chan os.Signal) (status int, err error) {
	setup, err := readSetup(f.Setup)
	if err != nil {
		return 0, err
	}
	tty, err := takeTerminal(setup.Terminal)
	if err != nil {
		return 0, err
	}
	defer tty.restore()
	fs, err := openTree()
	if err != nil {
		return 0, err
	}
	tr := &trace{fd: f.Trace}
	tr.end("monitor: start")
	cards, err := joinNetwork(setup, f.Wire)
	if err != nil {
		return 0, err
	}
	tr.end("monitor: join the network")
	described, err := describe(setup, tty, cards)
	if err != nil {
		return 0, err
	}
	h := newHub()
	said := &console.Device{}
	devices := []virtio.Device{virtiofs.NewDevice(guest.Tag, fs), &vsock.Device{Accept: h.accept}, entropy.Device{}, balloon.Device{}, said}
	for _, c := range cards {
		card := virtionet.NewDevice
		if c.Stream {
			card = virtionet.NewStreamDevice
		}
		devices = append(devices, card(c.Wire, c.Link.MAC, c.Link.MTU))
	}
	c := machine.Config{
		KVM: f.KVM, Memory: setup.Memory, CPUs: setup.CPUs, Bare: setup.Bare, Nested: setup.Nested,
		Boot: boot.Config{Kernel: os.NewFile(uintptr(f.Kernel), "kernel"), Cmdline: prepare.Cmdline + setup.Cmdline},
	}
	if setup.CPUs == 1 {
		c.Boot.Cmdline += prepare.SingleCmdline
	}
	if setup.Serial {
		c.Serial, c.Boot.Cmdline = stderr{}, c.Boot.Cmdline+prepare.SerialCmdline
	}
	var read []int
	if setup.Bare {
		agent, err := serve(f.Initrd)
		if err != nil {
			return 0, err
		}
		agent.ReadOnly = true
		devices = append(devices, virtiofs.NewDevice(prepare.BareTag, agent))
		read = append(read, f.Initrd)
		c.Boot.Cmdline += prepare.BareCmdline
		h.send(&wire.Message{Kind: wire.Machine, Text: string(described)})
	} else {
		c.Boot.Initrd, c.Boot.Extra = os.NewFile(uintptr(f.Initrd), "initramfs"), initramfs.Extra(initramfs.Config, described)
	}
	m, err := machine.New(c, devices...)
	if err != nil {
		return 0, err
	}
	tr.end("monitor: build the machine")
	if err := restrict(read...); err != nil {
		return 0, err
	}
	tr.end("monitor: give up all rights but those to run it")
	entry := h.session(0, [3]int{0, 1, 2}, setup.Terminal)
	go h.serve(f.Control)
	go forward(signals, h, 0, tty)
	m.Start()
	defer m.Stop()
	end, err := wait(m, entry, tr, &watchdog{h: h, boot: setup.Boot, bound: setup.Answer})
	if err == nil {
		return end.status()
	}
	if last := said.Last(); last != "" {
		err = fmt.Errorf("%w; its kernel said: %s", err, program.OneLine(last))
	}
	return 0, err
}

func readSetup(fd int) (*prepare.Setup, error) {
	file := os.NewFile(uintptr(fd), "setup")
	defer file.Close()
	s := new(prepare.Setup)
	if err := json.NewDecoder(file).Decode(s); err != nil {
		return nil, fmt.Errorf("the machine's setup: %w", err)
	}
	return s, nil
}

// wait waits for the entry point's end, and for whatever makes it useless to wait
// on.
func wait(m *machine.Machine, entry *session, tr *trace, dog *watchdog) (*end, error) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	connected, started := dog.h.connected, (chan struct{})(nil)
	defer tr.running("guest: run the entry point", m)
	for {
		select {
		case <-connected:
			tr.running("guest: boot the kernel", m)
			connected, started = nil, entry.started
		case <-started:
			tr.running("guest: mount the tree and start the entry point", m)
			dog.started()
			started = nil
			// What it took to build the machine and to boot is not kept while that
			// runs, and little is to become of what it needs then.
			debug.SetGCPercent(50)
			go debug.FreeOSMemory()
		case <-second.C:
			if err := dog.tick(); err != nil {
				return nil, err
			}
		case end := <-entry.ended:
			return end, nil
		case err := <-dog.h.lost:
			// The machine may have ended, which is the better reason.
			select {
			case end := <-entry.ended:
				return end, nil
			case <-m.Ended():
				err = m.Why()
			case <-time.After(time.Second):
			}
			return nil, err
		case <-m.Ended():
			// What the guest had sent has been received: its status may be there.
			select {
			case end := <-entry.ended:
				return end, nil
			case <-time.After(100 * time.Millisecond):
			}
			return nil, fmt.Errorf("no exit status came from the guest: %w", m.Why())
		}
	}
}

// status is a process's exit status as a shell would have it.
func (m *end) status() (int, error) {
	switch m.Kind {
	case wire.Exited:
		ws := unix.WaitStatus(m.Status)
		if ws.Signaled() {
			return 128 + int(ws.Signal()), nil
		}
		return ws.ExitStatus(), nil
	case wire.Failed:
		return 0, errors.New(m.Reason)
	}
	return 0, errors.New("the agent in the guest broke the protocol")
}
