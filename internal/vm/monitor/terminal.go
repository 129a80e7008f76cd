package monitor

import (
	"fmt"

	"ostia/internal/vm/wire"

	"golang.org/x/sys/unix"
)

// terminal is this process's own terminal, whose other end an engine or the
// runtime holds. The guest's terminal gives keys their meaning, so ours passes
// on every one. A nil terminal is none.
type terminal struct{ before unix.Termios }

func takeTerminal(wanted bool) (*terminal, error) {
	if !wanted {
		return nil, nil
	}
	old, err := unix.IoctlGetTermios(0, unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	raw := *old
	raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	raw.Oflag &^= unix.OPOST
	raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	raw.Cflag = raw.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(0, unix.TCSETS, &raw); err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	return &terminal{*old}, nil
}

func (t *terminal) restore() {
	if t != nil {
		_ = unix.IoctlSetTermios(0, unix.TCSETS, &t.before) // its other end may be gone
	}
}

// size is zero if it is not known.
func (t *terminal) size() wire.Size {
	if t == nil {
		return wire.Size{}
	}
	w, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ)
	if err != nil {
		return wire.Size{}
	}
	return wire.Size{Rows: w.Row, Columns: w.Col}
}
