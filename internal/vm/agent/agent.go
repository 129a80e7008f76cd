// Package agent is the guest's init: it loads modules, mounts the container's
// tree, and has the runtime's namespace handler run the entry point in it, and
// whatever an exec asks for, so that a process in the guest is what it would be
// in a container on the host. It owns nothing outside of the guest.
package agent

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"time"

	"ostia/internal/vm/guest"
	"ostia/internal/vm/initramfs"
	"ostia/internal/vm/wire"

	"golang.org/x/sys/unix"
)

// agent is PID 1.
type agent struct {
	machine guest.Machine
	host    *os.File // the control connection
	sending sync.Mutex
	reaper  *reaper
	late    []*os.File // modules that can wait until the entry point runs

	mu       sync.Mutex
	sessions map[uint32]*session
	started  chan struct{} // closed when the entry point has started, or failed to
}

// Main never returns: the monitor ends the machine.
func Main() {
	a := &agent{sessions: map[uint32]*session{}, started: make(chan struct{})}
	// What a process sends to init is not for us. Caught and dropped: what is
	// ignored would be so in every process of the guest. SIGCHLD is the reaper's.
	signal.Notify(make(chan os.Signal, 1), unix.SIGHUP, unix.SIGINT, unix.SIGTERM, unix.SIGQUIT, unix.SIGPIPE)
	err := a.prepare()
	if err == nil {
		a.begin(&wire.Message{Kind: wire.Start, Terminal: a.machine.Terminal, Size: wire.Size{Rows: a.machine.Rows, Columns: a.machine.Columns}})
		err = a.listen()
	}
	a.send(&wire.Message{Kind: wire.Fault, Reason: err.Error()})
	if a.host == nil {
		fmt.Fprintln(os.Stderr, "ostia agent:", err) // the console, if there is one by now
		_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	}
	select {} // a power-off here could overtake what was sent
}

func (a *agent) send(m *wire.Message) {
	a.sending.Lock()
	defer a.sending.Unlock()
	if a.host != nil {
		_ = wire.Write(a.host, m) // without the monitor there is nobody to tell
	}
}

// prepare makes the guest a host for the runtime.
func (a *agent) prepare() error {
	text, err := a.described()
	if err != nil {
		return err
	}
	if a.machine, err = guest.ParseMachine(string(text)); err != nil {
		return fmt.Errorf("%s: %w", initramfs.Config, err)
	}
	if err := modules("/" + initramfs.Modules); err != nil {
		return err
	}
	if len(a.machine.Links) > 0 {
		if err := modules("/" + initramfs.NetworkModules); err != nil {
			return err
		}
	}
	if err := a.connect(); err != nil {
		return err
	}
	// Their names go with the initramfs.
	if a.late, err = openModules("/" + initramfs.LateModules); err != nil {
		return err
	}
	if err := fileSystems(); err != nil {
		return err
	}
	if err := network(a.machine.Links, a.machine.Sysctls); err != nil {
		return err
	}
	if err := bundle(a.machine.Config); err != nil {
		return err
	}
	a.reaper = newReaper()
	return nil
}

// described is what the monitor says of the machine: in the initramfs, or first of
// all where the kernel takes none and has all drivers built in.
func (a *agent) described() ([]byte, error) {
	text, err := os.ReadFile("/" + initramfs.Config)
	if !errors.Is(err, fs.ErrNotExist) {
		return text, err
	}
	if err := a.connect(); err != nil {
		return nil, err
	}
	m, err := wire.Read(a.host)
	if err != nil {
		return nil, fmt.Errorf("control connection: %w", err)
	}
	if m.Kind != wire.Machine {
		return nil, fmt.Errorf("the monitor says %q before it describes the machine", m.Kind)
	}
	return []byte(m.Text), nil
}

// connect makes the control connection, once.
func (a *agent) connect() (err error) {
	if a.host != nil {
		return nil
	}
	if a.host, err = connect(wire.ControlPort); err != nil {
		return fmt.Errorf("vsock: %w", err)
	}
	return nil
}

// listen carries out what the monitor says, until it cannot be heard any more.
func (a *agent) listen() error {
	for {
		m, err := wire.Read(a.host)
		if err != nil {
			return fmt.Errorf("control connection: %w", err)
		}
		switch m.Kind {
		case wire.Start:
			a.begin(m)
		case wire.List, wire.KillAll, wire.Update, wire.Kills:
			go a.answer(m)
		case wire.Ping:
			a.send(&wire.Message{Kind: wire.Pong})
		case wire.Signal, wire.Resize:
			if s := a.session(m.Session); s != nil {
				s.tell(m)
			}
		}
	}
}

func (a *agent) session(id uint32) *session {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sessions[id]
}

// modules loads a folder's files in the order of their names.
func modules(dir string) error {
	files, err := openModules(dir)
	if err != nil {
		return err
	}
	return load(files)
}

// openModules opens a folder's files, if there is one, and leaves them no name:
// the memory that they take is free once they are closed.
func openModules(dir string) (files []*os.File, err error) {
	entries, err := os.ReadDir(dir) // by name
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		path := dir + "/" + e.Name()
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
		_ = os.Remove(path) // only memory
	}
	return files, nil
}

func load(files []*os.File) error {
	for _, f := range files {
		err := unix.FinitModule(int(f.Fd()), "", 0)
		if err == unix.EKEYREJECTED || err == unix.EPERM { // module.sig_enforce, lockdown
			var signed []byte
			if signed, err = io.ReadAll(f); err == nil {
				err = unix.InitModule(append(signed, initramfs.MarkEnd...), "")
			}
		}
		f.Close()
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("module %s: %w", filepath.Base(f.Name()), err)
		}
	}
	return nil
}

// connect opens a connection to the monitor. The device is probed while its
// module loads, on a thread of the kernel's; and a signal, of which Go has its
// own, ends the attempt, and with it the socket's.
func connect(port uint32) (*os.File, error) {
	var err error
	for range 400 {
		var fd int
		if fd, err = unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return nil, err
		}
		if err = unix.Connect(fd, &unix.SockaddrVM{CID: unix.VMADDR_CID_HOST, Port: port}); err == nil {
			return os.NewFile(uintptr(fd), "vsock"), nil
		}
		unix.Close(fd)
		if err != unix.ENODEV && err != unix.ENETUNREACH && err != unix.EADDRNOTAVAIL && err != unix.ETIMEDOUT && err != unix.EINTR {
			return nil, err
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil, err
}
