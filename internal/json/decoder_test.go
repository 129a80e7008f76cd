package json

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// value reads any value, as encoding/json would with UseNumber.
func value(d *Decoder) any {
	switch c := d.peek(); c {
	case '{':
		m := map[string]any{}
		d.Object(func(key string) { m[key] = value(d) })
		return m
	case '[':
		list := []any{}
		d.Array(func(int) { list = append(list, value(d)) })
		return list
	case '"':
		return d.String()
	case 't', 'f':
		return d.Bool()
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		text, _ := d.number()
		return json.Number(text)
	case 'n':
		d.Null()
	default:
		d.want("a value")
	}
	return nil
}

// stricter are the reasons for which texts are refused that encoding/json
// takes: it keeps the last of two members, replaces what is no character, and
// nests ten thousand levels.
var stricter = []string{"duplicate member", "invalid UTF-8", "malformed \\u escape", "nested deeper", "a NUL byte"}

// FuzzDecoder: what is read is what encoding/json reads, and what is refused it
// refuses too, but for the reasons above.
func FuzzDecoder(f *testing.F) {
	for _, text := range []string{
		`{"a":[1,-2.5e+3,true,false,null,"b\u00e9\ud83d\ude00\n"],"é":{}}`, ` [ ] `, `"\ud800"`, `"\u12"`, "\"\xff\"", `{"a":1,"a":2}`,
		`01`, `1.`, `-`, `1e`, `[1,]`, `{"a":1,}`, `{"a"}`, `nul`, `"a`, "\"\n\"", `{"a":1} x`, "\x00", "1\x00", strings.Repeat("[", 300), "\ufeff{}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d := NewDecoder(text)
		ours := value(d)
		err := d.End()
		reference := json.NewDecoder(strings.NewReader(text))
		reference.UseNumber()
		var theirs any
		if !json.Valid([]byte(text)) {
			if err == nil {
				t.Fatalf("%q is no JSON, and is read as %v", text, ours)
			}
		} else if e := reference.Decode(&theirs); e != nil {
			t.Fatal(e)
		} else if err == nil && !reflect.DeepEqual(ours, theirs) {
			t.Fatalf("%q is read as %v, not as %v", text, ours, theirs)
		}
		if err == nil {
			return
		}
		var where *Error
		if !errors.As(err, &where) {
			t.Fatalf("%T", err)
		}
		lines := strings.Split(text, "\n")
		if where.Line < 1 || where.Line > len(lines) || where.Column < 1 || where.Column > len(lines[where.Line-1])+1 {
			t.Errorf("%q: %v, which is not a place in it", text, err)
		}
		if json.Valid([]byte(text)) {
			for _, reason := range stricter {
				if strings.HasPrefix(where.Reason, reason) {
					return
				}
			}
			t.Errorf("%q is refused: %v", text, err)
		}
	})
}

// FuzzString: a string that was written is read as it was, by this package and
// by encoding/json.
func FuzzString(f *testing.F) {
	f.Add("a\"\\/\b\f\n\r\t\x00\x1f\x7fé😀\u2028")
	f.Add("\xff\xed\xa0\x80")
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return
		}
		text := AppendString(nil, s)
		d := NewDecoder(string(text))
		if got := d.String(); got != s || d.End() != nil {
			t.Errorf("%q became %q by %s: %v", s, got, text, d.Err())
		}
		var theirs string
		if err := json.Unmarshal(text, &theirs); err != nil || theirs != s {
			t.Errorf("%q became %q by %s: %v", s, theirs, text, err)
		}
	})
}

// TestErrors: an error says where it is as an editor counts, and which member.
func TestErrors(t *testing.T) {
	for text, want := range map[string]string{
		"{\n  \"a\": [1,\n    tru]\n}": "a[1]: expected a value (line 3, column 5)",
		"{\"a\": {\"b\": 1.5}}":        "a.b: expected a whole number, found 1.5 (line 1, column 13)",
		"{\"a\": {\"b\": 300}}":        "a.b: 300 is out of range (unsigned, 8 bits) (line 1, column 13)",
		"{\"a\": {\"b\": -1}}":         "a.b: -1 is out of range (unsigned, 8 bits) (line 1, column 13)",
		"":                             "expected an object, found end of the document (line 1, column 1)",
	} {
		d := NewDecoder(text)
		d.Object(func(string) {
			if d.peek() == '[' {
				d.Skip()
				return
			}
			d.Object(func(string) { d.Uint(8) })
		})
		if err := d.End(); err == nil || err.Error() != want {
			t.Errorf("%q: %v\nwant %s", text, err, want)
		}
	}
}

// TestEncoder: indented or not, it is the same value.
func TestEncoder(t *testing.T) {
	write := func(indent string) string {
		e := NewEncoder(indent)
		e.Object(func() {
			e.Key("empty").Object(func() {})
			e.Key("list").Array(func() {
				e.Int(-1)
				e.Uint(1 << 63)
				e.Bool(true)
				e.Strings([]string{"a", "b"})
			})
		})
		return string(e.Bytes())
	}
	want := `{"empty":{},"list":[-1,9223372036854775808,true,["a","b"]]}`
	if got := write(""); got != want {
		t.Error(got)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, []byte(want), "", "  "); err != nil || write("  ") != indented.String() {
		t.Errorf("%v\n%s\nwant\n%s", err, write("  "), indented.String())
	}
}
