// Package wire is what the monitor, the agent in the guest and the proxy of an
// exec say to each other: messages as JSON, each behind its length. It owns
// their form and their bounds; neither side trusts the other.
package wire

import (
	"encoding/binary"
	"errors"
	"io"

	"ostia/internal/json"
)

// The host's vsock ports.
const (
	ControlPort = 1 // messages between agent and monitor
	StreamPort  = 2 // a Stream, then the bytes of a process's stdio
)

// Kind says what a message is.
type Kind string

const (
	Start   Kind = "start"   // to the agent: run Process in Session
	Machine Kind = "machine" // to the agent, first, if it has no initramfs: Text is what that would hold
	Signal  Kind = "signal"  // to the agent: Number
	Resize  Kind = "resize"  // to the agent: Size
	List    Kind = "list"    // to the agent: the container's processes, as Text
	KillAll Kind = "killall" // to the agent: the signal Text to every one of them
	Update  Kind = "update"  // to the agent: Text is a resources object, as in config.json
	Kills   Kind = "kills"   // to the agent: how many processes the guest's OOM killer has ended, as Text
	Answer  Kind = "answer"  // agent: Text, to one of these four
	Ping    Kind = "ping"    // to the agent: answer
	Pong    Kind = "pong"    // agent: here
	Started Kind = "started" // agent: the process of Session runs
	Exited  Kind = "exited"  // agent: Status is the wait status
	Failed  Kind = "failed"  // agent: the process did not start, or there is no answer: Reason, and Status as an exit status
	Fault   Kind = "fault"   // agent: the guest cannot go on: Reason
)

// Message is one of them. What does not belong to its kind is zero.
type Message struct {
	Kind     Kind
	Session  uint32 // 0 is the entry point
	Process  string // a process object, as in config.json
	Terminal bool
	Size     Size
	Number   int
	Status   uint32
	Reason   string
	Text     string
}

// text is the message as JSON, by the members' names in lower case.
func (m *Message) text() []byte {
	e := json.NewEncoder("")
	e.Object(func() {
		for _, s := range [...]struct{ name, value string }{{"kind", string(m.Kind)}, {"process", m.Process}, {"reason", m.Reason}, {"text", m.Text}} {
			if s.value != "" {
				e.Key(s.name).String(s.value)
			}
		}
		for _, n := range [...]struct {
			name  string
			value uint32
		}{{"session", m.Session}, {"status", m.Status}, {"rows", uint32(m.Size.Rows)}, {"columns", uint32(m.Size.Columns)}} {
			if n.value != 0 {
				e.Key(n.name).Uint(uint64(n.value))
			}
		}
		if m.Number != 0 {
			e.Key("number").Int(int64(m.Number))
		}
		if m.Terminal {
			e.Key("terminal").Bool(true)
		}
	})
	return e.Bytes()
}

// parse reads a message. What is not known is passed over.
func parse(text string) (*Message, error) {
	m := new(Message)
	d := json.NewDecoder(text)
	d.Object(func(key string) {
		switch key {
		case "kind":
			m.Kind = Kind(d.String())
		case "process":
			m.Process = d.String()
		case "reason":
			m.Reason = d.String()
		case "text":
			m.Text = d.String()
		case "session":
			m.Session = uint32(d.Uint(32))
		case "status":
			m.Status = uint32(d.Uint(32))
		case "rows":
			m.Size.Rows = uint16(d.Uint(16))
		case "columns":
			m.Size.Columns = uint16(d.Uint(16))
		case "number":
			m.Number = int(d.Int(32))
		case "terminal":
			m.Terminal = d.Bool()
		default:
			d.Skip()
		}
	})
	return m, d.End()
}

// Size is that of a terminal.
type Size struct{ Rows, Columns uint16 }

// maxMessage bounds a message: a process object is no longer than a config.
const maxMessage = 4 << 20

var errLength = errors.New("a message of a length that none has")

// Write sends m with one write.
func Write(w io.Writer, m *Message) error {
	text := m.text()
	if len(text) > maxMessage {
		return errLength
	}
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(text)), uint32(len(text)))
	_, err := w.Write(append(b, text...))
	return err
}

// Read waits for a message.
func Read(r io.Reader) (*Message, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n > maxMessage {
		return nil, errLength
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, err
	}
	return parse(string(text))
}

// Stream is the head of a connection to StreamPort: whose stdio follows.
type Stream struct {
	Session uint32
	FD      uint32 // 0, 1 or 2; 0 in both directions for a terminal
}

// Write sends the head.
func (s Stream) Write(w io.Writer) error {
	_, err := w.Write(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, s.Session), s.FD))
	return err
}

// ReadStream reads the head.
func ReadStream(r io.Reader) (Stream, error) {
	var b [8]byte
	_, err := io.ReadFull(r, b[:])
	return Stream{binary.LittleEndian.Uint32(b[:]), binary.LittleEndian.Uint32(b[4:])}, err
}
