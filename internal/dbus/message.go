package dbus

import (
	"encoding/binary"
	"errors"
)

// Call is a method call.
type Call struct {
	Destination string // a bus name; empty for a peer
	Path        string
	Interface   string
	Member      string
	Body        []Value
}

// The kinds of messages.
const (
	methodCall = 1 + iota
	methodReturn
	methodError
	signal
)

// The fields of a header.
const (
	fieldPath = 1 + iota
	fieldInterface
	fieldMember
	fieldErrorName
	fieldReplySerial
	fieldDestination
	fieldSender
	fieldSignature
)

// maxMessage is the largest message that is read: far more than systemd sends
// (the unit with the most properties has some 30 kB of them), far less than
// the 128 MiB that the protocol allows.
const maxMessage = 4 << 20

const fixedHeader = 16 // bytes, with the length of the fields

// appendCall marshals a call behind b. Where that ends is no matter: a message
// begins on a boundary of 8 by itself.
func appendCall(b []byte, serial uint32, c *Call) []byte {
	var body []byte
	signature := ""
	for i := range c.Body {
		body = appendValue(body, &c.Body[i])
		signature += c.Body[i].Type
	}
	h := append(make([]byte, 0, 256), 'l', methodCall, 0, 1)
	h = binary.LittleEndian.AppendUint32(h, uint32(len(body)))
	h = binary.LittleEndian.AppendUint32(h, serial)
	fields := Value{Type: "a(yv)"}
	for _, f := range [...]struct {
		code       uint64
		kind, text string
	}{
		{fieldPath, "o", c.Path}, {fieldInterface, "s", c.Interface}, {fieldMember, "s", c.Member},
		{fieldDestination, "s", c.Destination}, {fieldSignature, "g", signature},
	} {
		if f.text != "" {
			fields.List = append(fields.List, Struct(Value{Type: "y", Number: f.code}, Variant(Value{Type: f.kind, Text: f.text})))
		}
	}
	h = pad(appendValue(h, &fields), 8)
	return append(append(b, h...), body...)
}

// Message is a received message.
type Message struct {
	Path, Interface, Member string
	Sender                  string // its unique name on a bus; empty from a peer
	Signature               string

	kind        byte
	replySerial uint32
	errorName   string
	body        decoder
}

// errMessage is what the other side sent and is no D-Bus message.
var errMessage = errors.New("received what is no D-Bus message")

// cutMessage takes a message off the front of b. n is its length, 0 when b does
// not hold all of it yet.
func cutMessage(b []byte) (m *Message, n int, err error) {
	if len(b) < fixedHeader {
		return nil, 0, nil
	}
	d := decoder{b: b[:fixedHeader], order: binary.LittleEndian}
	switch b[0] {
	case 'l':
	case 'B':
		d.order = binary.BigEndian
	default:
		return nil, 0, errMessage
	}
	d.at = 4
	bodyLen := d.uint32()
	d.at = 12
	fieldsLen := d.uint32()
	if b[3] != 1 || bodyLen > maxMessage || fieldsLen > maxMessage {
		return nil, 0, errMessage
	}
	header := (fixedHeader + int(fieldsLen) + 7) &^ 7
	n = header + int(bodyLen)
	if len(b) < n {
		return nil, 0, nil
	}
	m = &Message{kind: b[1], body: decoder{b: b[header:n:n], order: d.order}}
	d.b, d.at = b[:header], 12
	fields := d.value("a(yv)", 0)
	d.align(8)
	if d.bad {
		return nil, 0, errMessage
	}
	for i := range fields.List {
		m.field(fields.List[i].List[0].Number, &fields.List[i].List[1].List[0])
	}
	return m, n, nil
}

// field takes one field of the header; unknown ones are passed over, as the
// protocol asks.
func (m *Message) field(code uint64, v *Value) {
	var kind string
	var text *string
	switch code {
	case fieldPath:
		kind, text = "o", &m.Path
	case fieldInterface:
		kind, text = "s", &m.Interface
	case fieldMember:
		kind, text = "s", &m.Member
	case fieldErrorName:
		kind, text = "s", &m.errorName
	case fieldSender:
		kind, text = "s", &m.Sender
	case fieldSignature:
		kind, text = "g", &m.Signature
	case fieldReplySerial:
		if v.Type == "u" {
			m.replySerial = uint32(v.Number)
		}
		return
	}
	if v.Type == kind {
		*text = v.Text
	}
}

// Values returns the message's body, which must have this signature.
func (m *Message) Values(signature string) ([]Value, error) {
	if m.Signature != signature {
		return nil, errMessage
	}
	d := m.body
	var values []Value
	for rest := signature; rest != ""; {
		n := completeType(rest, 0)
		if n == 0 {
			return nil, errMessage
		}
		values = append(values, d.value(rest[:n], 0))
		rest = rest[n:]
	}
	if d.bad || d.at != len(d.b) {
		return nil, errMessage
	}
	return values, nil
}

// Error is an error that the other side has answered with.
type Error struct {
	Name string // "org.freedesktop.systemd1.NoSuchUnit"
	Text string // its sentence; may be empty
}

func (e *Error) Error() string {
	if e.Text == "" {
		return e.Name
	}
	return e.Text
}

// err is the error that the message is.
func (m *Message) err() error {
	if m.kind != methodError {
		return nil
	}
	e := &Error{Name: m.errorName}
	if len(m.Signature) > 0 && m.Signature[0] == 's' {
		d := m.body
		if text := d.text(d.uint32()); !d.bad {
			e.Text = text
		}
	}
	return e
}
