package cli

import (
	"strconv"
	"unicode/utf8"
)

// jsonText builds a JSON text. indent is what one level is indented with; ""
// writes it all on one line.
type jsonText struct {
	buf    []byte
	indent string
	depth  int
	fresh  bool // nothing stands in the open object or array yet
}

func (j *jsonText) open(bracket byte) {
	j.buf = append(j.buf, bracket)
	j.depth++
	j.fresh = true
}

func (j *jsonText) close(bracket byte) {
	j.depth--
	if !j.fresh {
		j.newline()
	}
	j.fresh = false
	j.buf = append(j.buf, bracket)
}

// next begins an element of an array.
func (j *jsonText) next() {
	if !j.fresh {
		j.buf = append(j.buf, ',')
	}
	j.fresh = false
	j.newline()
}

// key begins a member of an object.
func (j *jsonText) key(name string) {
	j.next()
	j.buf = append(j.buf, quoteJSON(name)...)
	j.buf = append(j.buf, ':')
	if j.indent != "" {
		j.buf = append(j.buf, ' ')
	}
}

func (j *jsonText) text(s string) { j.buf = append(j.buf, quoteJSON(s)...) }
func (j *jsonText) number(n int)  { j.buf = strconv.AppendInt(j.buf, int64(n), 10) }
func (j *jsonText) truth(b bool)  { j.buf = strconv.AppendBool(j.buf, b) }

func (j *jsonText) newline() {
	if j.indent == "" {
		return
	}
	j.buf = append(j.buf, '\n')
	for range j.depth {
		j.buf = append(j.buf, j.indent...)
	}
}

// quoteJSON writes a string as JSON (RFC 8259). What is no UTF-8, as a file
// name need not be, becomes U+FFFD.
func quoteJSON(s string) string {
	const hex = "0123456789abcdef"
	b := append(make([]byte, 0, len(s)+2), '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += n
			continue
		}
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\t':
			b = append(b, '\\', 't')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c < ' ' || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
		i++
	}
	return string(append(b, '"'))
}
