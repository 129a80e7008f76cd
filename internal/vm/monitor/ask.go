package monitor

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"ostia/internal/state"
	"ostia/internal/vm/wire"
)

// answerTime is how long a question waits for its answer.
const answerTime = 10 * time.Second

// serveAsk puts a question to the agent.
func (h *hub) serveAsk(c net.Conn) {
	m, err := wire.Read(c)
	if err != nil {
		return
	}
	switch m.Kind {
	case wire.List, wire.KillAll, wire.Update, wire.Kills:
	default:
		return
	}
	id, s := h.newSession([3]int{-1, -1, -1}, false)
	defer h.forget(id)
	m.Session = id
	go h.send(m) // a guest that does not listen keeps it waiting
	a := &wire.Message{Kind: wire.Failed, Reason: "its agent does not answer"}
	select {
	case e := <-s.ended:
		a = (*wire.Message)(e)
	case <-time.After(answerTime):
	}
	_ = wire.Write(c, a) // who is gone needs no answer
}

// Ask puts the question kind, with what is on standard input, to the guest of
// the container id of the state folder root, prints the answer, and returns an
// exit status.
func Ask(root, id, kind string) int {
	answer, err := ask(root, id, kind)
	if err == nil {
		_, err = os.Stdout.WriteString(answer)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func ask(root, id, kind string) (string, error) {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return "", err
	}
	c, err := dial(root, id)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }() // the answer has come
	if _, err := c.Write([]byte{0}); err != nil {
		return "", err
	}
	if err := wire.Write(c, &wire.Message{Kind: wire.Kind(kind), Text: string(text)}); err != nil {
		return "", err
	}
	m, err := wire.Read(c)
	if err != nil {
		return "", errMonitorGone
	}
	if m.Kind != wire.Answer {
		return "", errors.New(m.Reason)
	}
	return m.Text, nil
}

// dial connects to the monitor.
func dial(root, id string) (net.Conn, error) {
	d, err := state.View(root, id)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	fd, err := d.Connect()
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "monitor")
	defer file.Close()
	return net.FileConn(file)
}
