package wire

import (
	"bytes"
	"strings"
	"testing"
)

func TestMessages(t *testing.T) {
	for _, m := range []Message{
		{Kind: Start, Session: 7, Process: `{"args":["a\n"]}`, Terminal: true, Size: Size{Rows: 24, Columns: 80}},
		{Kind: Signal, Session: 1<<32 - 1, Number: 15},
		{Kind: Exited, Status: 0xff00},
		{Kind: Failed, Reason: "no such \"file\"", Status: 127},
		{Kind: Answer, Text: "UID\tPID\n\x7f"},
		{Kind: Ping},
	} {
		var b bytes.Buffer
		if err := Write(&b, &m); err != nil {
			t.Fatal(err)
		}
		got, err := Read(&b)
		if err != nil || *got != m {
			t.Errorf("%+v came as %+v, %v", m, got, err)
		}
	}
	if err := Write(new(bytes.Buffer), &Message{Text: strings.Repeat("x", maxMessage)}); err == nil {
		t.Error("a message longer than the bound was sent")
	}
}

// FuzzRead: the guest says what it likes.
func FuzzRead(f *testing.F) {
	f.Add([]byte("\x0f\x00\x00\x00{\"kind\":\"pong\"}"))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := Write(&again, m); err != nil {
			return // escapes may make it longer
		}
		if got, err := Read(&again); err != nil || *got != *m {
			t.Errorf("%+v came as %+v, %v", m, got, err)
		}
	})
}
