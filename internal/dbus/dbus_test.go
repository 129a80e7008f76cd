package dbus

import (
	"errors"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"
)

// message is a message that a manager could send.
func message(kind byte, serial uint32, fields []Value, body []byte) []byte {
	h := []byte{'l', kind, 1, 1, byte(len(body)), 0, 0, 0, byte(serial), 0, 0, 0}
	list := Value{Type: "a(yv)", List: fields}
	return append(pad(appendValue(h, &list), 8), body...)
}

func field(code uint64, v Value) Value {
	return Struct(Value{Type: "y", Number: code}, Variant(v))
}

func TestCall(t *testing.T) {
	b := appendCall(nil, 1, &Call{Path: "/org/freedesktop/systemd1", Interface: "org.freedesktop.systemd1.Manager", Member: "AttachProcessesToUnit",
		Body: []Value{String("ostia-x.scope"), String("/"), {Type: "au", List: []Value{Uint32(240)}}}})
	// As strace(1) has seen it, and systemd has understood it.
	want := "l\x01\x00\x01$\x00\x00\x00\x01\x00\x00\x00\x82\x00\x00\x00\x01\x01o\x00\x19\x00\x00\x00/org/freedesktop/systemd1\x00\x00\x00\x00\x00\x00\x00" +
		"\x02\x01s\x00 \x00\x00\x00org.freedesktop.systemd1.Manager\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x03\x01s\x00\x15\x00\x00\x00AttachProcessesToUnit\x00\x00\x00\x08\x01g\x00\x04ssau\x00\x00\x00\x00\x00\x00\x00" +
		"\x0d\x00\x00\x00ostia-x.scope\x00\x00\x00\x01\x00\x00\x00/\x00\x00\x00\x04\x00\x00\x00\xf0\x00\x00\x00"
	if string(b) != want {
		t.Errorf("the call is\n%q\nwant\n%q", b, want)
	}
}

func TestMessage(t *testing.T) {
	body := Variant(String("252.39-1~deb12u2"))
	good := message(methodReturn, 7, []Value{
		field(fieldReplySerial, Uint32(1)), field(fieldSignature, Value{Type: "g", Text: "v"}), field(fieldSender, String(":1.3")),
		field(200, Uint64(1)), // of a protocol to come
	}, appendValue(nil, &body))
	for n := range good {
		if m, _, err := cutMessage(good[:n]); m != nil || err != nil {
			t.Fatalf("%d bytes of %d are %v, %v", n, len(good), m, err)
		}
	}
	m, n, err := cutMessage(append(good[:len(good):len(good)], "next"...))
	if err != nil || n != len(good) || m.replySerial != 1 || m.Sender != ":1.3" || m.err() != nil {
		t.Fatalf("%+v, %d, %v", m, n, err)
	}
	values, err := m.Values("v")
	if err != nil || !reflect.DeepEqual(values, []Value{body}) {
		t.Errorf("%v, %v", values, err)
	}
	if _, err := m.Values("s"); err == nil {
		t.Error("a body was read as what it is not")
	}

	refusal := String("no such unit")
	m, _, err = cutMessage(message(methodError, 8, []Value{
		field(fieldErrorName, String("org.freedesktop.systemd1.NoSuchUnit")), field(fieldSignature, Value{Type: "g", Text: "s"}),
	}, appendValue(nil, &refusal)))
	var answer *Error
	if err != nil || !errors.As(m.err(), &answer) || answer.Name != "org.freedesktop.systemd1.NoSuchUnit" || answer.Error() != "no such unit" {
		t.Errorf("%+v, %v", m, err)
	}
}

// What is no message is refused whatever is wrong with it.
func TestNoMessage(t *testing.T) {
	for name, b := range map[string][]byte{
		"endianness": append([]byte{'x'}, make([]byte, 15)...),
		"version":    {'l', 1, 0, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0},
		"body":       {'l', 1, 0, 1, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0},
		"fields":     {'l', 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f},
		"array":      {'l', 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 1, 1, 's', 0, 0xf0, 0, 0, 0},
		"signature":  {'l', 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 1, 1, '(', 0, 0, 0, 0, 0},
	} {
		if _, _, err := cutMessage(b); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// An answer is waited for once: whoever has not answered in time is not asked
// again, however many calls are to come.
func TestNoAnswer(t *testing.T) {
	name := t.TempDir() + "/s"
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := Dial(name, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	c.limit = 50 * time.Millisecond
	call := Call{Path: "/", Member: "M"}
	if _, err := c.Reply(c.Send(&call)); !errors.Is(err, ErrTimeout) {
		t.Fatalf("the first answer: %v", err)
	}
	c.limit = time.Minute
	serial := c.Send(&call)
	peer.Write([]byte("DATA\r\nOK 1\r\n"))
	peer.Write(message(methodReturn, 1, []Value{field(fieldReplySerial, Uint32(serial))}, nil))
	if _, err := c.Reply(serial); !errors.Is(err, ErrTimeout) {
		t.Errorf("the second answer: %v", err)
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]Value{
		"true":                Bool(true),
		"'a b'":               String("a b"),
		`"it's \u00e9\n"`:     String("it's é\n"),
		"12":                  {Type: "i", Number: 12},
		"-1":                  {Type: "i", Number: 1<<64 - 1},
		"uint64 0x10":         Uint64(16),
		"@t 5":                Uint64(5),
		"objectpath '/a'":     {Type: "o", Text: "/a"},
		"1.5":                 {Type: "d", Number: 0x3ff8000000000000},
		"['a', 'b']":          {Type: "as", List: []Value{String("a"), String("b")}},
		"@as []":              {Type: "as"},
		"[byte 1, 2]":         {Type: "ay", Text: "\x01\x02"},
		"[('/dev/x', 'rw')]":  {Type: "a(ss)", List: []Value{Struct(String("/dev/x"), String("rw"))}},
		"('a',)":              Struct(String("a")),
		"{'k': <uint32 1>}":   {Type: "a{sv}", List: []Value{{Type: "{sv}", List: []Value{String("k"), Variant(Uint32(1))}}}},
		" <@a{sv} {}> ":       Variant(Value{Type: "a{sv}"}),
		"@(st) ('/x', 12345)": Struct(String("/x"), Uint64(12345)),
	} {
		if v, err := Parse(text); err != nil || !reflect.DeepEqual(v, want) {
			t.Errorf("%s is %+v, %v, want %+v", text, v, err, want)
		}
	}
	for text, reason := range map[string]string{
		"":                          "ends where a value should be",
		"word":                      "text is put in quotes",
		"'open":                     "closing quote",
		"[]":                        "without a type",
		"[1, 'a']":                  "text where another type",
		"99999999999":               "too large",
		"byte 256":                  "too large",
		"@q 'a'":                    "text where another type",
		"@zz 1":                     "is no type",
		"true false":                "ends before",
		"()":                        "lacks fields",
		"{'a' 1}":                   "lacks a :",
		"{[1]: 2}":                  "no plain value",
		"@(st) ('a')":               "lacks fields",
		"@(st) ('a', 1, 2)":         "more fields",
		`'\ud800'`:                  "no character",
		strings.Repeat("[", 1000):   "too deep",
		strings.Repeat("<", 100000): "too deep",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%.20q: %v, want %q", text, err, reason)
		}
	}
}

// FuzzMessage reads anything as messages: whatever is taken can be marshalled
// and read again.
func FuzzMessage(f *testing.F) {
	text := String("x")
	f.Add(message(methodError, 8, []Value{field(fieldErrorName, String("a.b")), field(fieldSignature, Value{Type: "g", Text: "s"})}, appendValue(nil, &text)))
	job := Value{Type: "(uoss)", List: []Value{Uint32(1), {Type: "o", Text: "/j"}, String("a.scope"), String("done")}}
	f.Add(message(signal, 1, []Value{field(fieldSignature, Value{Type: "g", Text: "uoss"})}, appendValue(nil, &job)))
	f.Add(appendCall(nil, 1, &Call{Path: "/", Member: "M", Body: []Value{Variant(Value{Type: "a{sv}"})}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		for {
			m, n, err := cutMessage(b)
			if err != nil || n == 0 {
				return
			}
			_ = m.err()
			if values, err := m.Values(m.Signature); err == nil {
				again(t, m.Signature, values)
			}
			b = b[n:]
		}
	})
}

func again(t *testing.T, signature string, values []Value) {
	var body []byte
	for i := range values {
		body = appendValue(body, &values[i])
	}
	m, _, err := cutMessage(appendCall(nil, 1, &Call{Path: "/", Member: "M", Body: values}))
	if err != nil {
		t.Fatal(err)
	}
	second, err := m.Values(signature)
	if err != nil || !reflect.DeepEqual(values, second) {
		t.Fatalf("%s: %+v\nis again\n%+v, %v", signature, values, second, err)
	}
}

// FuzzParse parses anything; what is a value can be sent.
func FuzzParse(f *testing.F) {
	for _, text := range [...]string{"true", "'a'", "uint64 12", "['a', 'b']", "@as []", "[('a', 'b')]", "{'k': <1>}", `"\u00e9"`, "-1.5e3"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if v, err := Parse(text); err == nil {
			again(t, v.Type, []Value{v})
		}
	})
}
