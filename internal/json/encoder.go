package json

import (
	"strconv"
	"unicode/utf8"
)

// Encoder writes one JSON text. Commas, and with Indent line breaks, come by
// themselves.
type Encoder struct {
	b      []byte
	indent string
	depth  int
	fresh  bool // nothing yet in the current object or array
	keyed  bool // a key was just written
}

// NewEncoder writes in one line if indent is empty, else with line breaks and
// indent a level.
func NewEncoder(indent string) *Encoder {
	return &Encoder{b: make([]byte, 0, 1024), indent: indent, fresh: true}
}

// Bytes is what was written.
func (e *Encoder) Bytes() []byte { return e.b }

// Object writes an object whose members body writes.
func (e *Encoder) Object(body func()) { e.nest('{', '}', body) }

// Array writes an array whose elements body writes.
func (e *Encoder) Array(body func()) { e.nest('[', ']', body) }

func (e *Encoder) nest(open, end byte, body func()) {
	e.next()
	e.b = append(e.b, open)
	e.depth++
	e.fresh = true
	body()
	e.depth--
	if !e.fresh {
		e.line()
	}
	e.b = append(e.b, end)
	e.fresh = false
}

// Key writes a member's name; its value comes next.
func (e *Encoder) Key(k string) *Encoder {
	e.next()
	e.b = AppendString(e.b, k)
	e.b = append(e.b, ':')
	if e.indent != "" {
		e.b = append(e.b, ' ')
	}
	e.keyed = true
	return e
}

// next separates a value from the one before it.
func (e *Encoder) next() {
	if e.keyed {
		e.keyed = false
		return
	}
	if e.depth == 0 {
		return
	}
	if !e.fresh {
		e.b = append(e.b, ',')
	}
	e.fresh = false
	e.line()
}

func (e *Encoder) line() {
	if e.indent == "" {
		return
	}
	e.b = append(e.b, '\n')
	for range e.depth {
		e.b = append(e.b, e.indent...)
	}
}

// String writes a string.
func (e *Encoder) String(s string) { e.next(); e.b = AppendString(e.b, s) }

// Int writes a number.
func (e *Encoder) Int(n int64) { e.next(); e.b = strconv.AppendInt(e.b, n, 10) }

// Uint writes a number.
func (e *Encoder) Uint(n uint64) { e.next(); e.b = strconv.AppendUint(e.b, n, 10) }

// Raw writes a value that is JSON text already.
func (e *Encoder) Raw(text string) { e.next(); e.b = append(e.b, text...) }

// Bool writes true or false.
func (e *Encoder) Bool(v bool) { e.next(); e.b = strconv.AppendBool(e.b, v) }

// Null writes null.
func (e *Encoder) Null() { e.next(); e.b = append(e.b, "null"...) }

// Strings writes an array of strings.
func (e *Encoder) Strings(list []string) {
	e.Array(func() {
		for _, s := range list {
			e.String(s)
		}
	})
}

// AppendString appends s in quotes. What is not valid UTF-8 becomes U+FFFD.
func AppendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\t':
			b = append(b, '\\', 't')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c < 0x20 || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			b = append(b, c)
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += n
			continue
		}
		i++
	}
	return append(b, '"')
}
