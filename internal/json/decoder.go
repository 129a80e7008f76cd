// Package json reads and writes JSON text (RFC 8259) without reflection, for a
// program that lives a few milliseconds. It is strict: text that is not valid
// UTF-8, lone surrogates, duplicate members, numbers out of range and anything
// after the value are errors, which name line, column and member.
package json

import (
	"strconv"
	"unicode/utf8"
)

// maxDepth bounds nesting, and with it the stack.
const maxDepth = 200

// Decoder reads one JSON text. Its methods read the next value; after the
// first error they all return zero values, and Err tells.
type Decoder struct {
	text string
	at   int
	last int // where the string or number read last begins
	path []segment
	err  error
	// Of a lenient decoder: what it went on after.
	lenient bool
	refused []error
	// Of one that takes other names for members.
	fold    func(key string) string
	skipped int // where the value begins that Skip was called for last
}

// segment is a member or an element on the way to the current value.
type segment struct {
	key   string
	index int // -1 for a member
}

// Error is a text that is not JSON, or a value of the wrong type.
type Error struct {
	Line, Column int    // from 1, in bytes
	Pointer      string // "mounts[3].destination"; "" at the top
	Reason       string
}

func (e *Error) Error() string {
	s := ""
	if e.Pointer != "" {
		s = e.Pointer + ": "
	}
	return s + e.Reason + " (line " + strconv.Itoa(e.Line) + ", column " + strconv.Itoa(e.Column) + ")"
}

// NewDecoder reads text. Strings without escapes are slices of it.
func NewDecoder(text string) *Decoder {
	return &Decoder{text: text, path: make([]segment, 0, 16)}
}

// End checks that nothing but white space is left and returns the first error.
func (d *Decoder) End() error {
	if d.err == nil && d.peek() != 0 {
		d.fail("unexpected " + d.found() + " after the end of the document")
	}
	return d.err
}

// Err returns the first error.
func (d *Decoder) Err() error { return d.err }

// Lenient makes the decoder go on after a value that is JSON and not what is
// wanted, as if it were not there. Refused returns those errors.
func (d *Decoder) Lenient() { d.lenient = true }

// Fold has a member that nobody wanted, so that it was skipped, read again under
// the name that fold has for it, when that is another one.
func (d *Decoder) Fold(fold func(key string) string) { d.fold = fold }

// Refused returns what a lenient decoder has passed over.
func (d *Decoder) Refused() []error { return d.refused }

// Refuse makes the value that was just read an error.
func (d *Decoder) Refuse(reason string) {
	switch err := d.error(d.last, reason); {
	case d.err != nil:
	case d.lenient:
		d.refused = append(d.refused, err)
	default:
		d.err, d.at = err, len(d.text)
	}
}

func (d *Decoder) fail(reason string) {
	if d.err != nil {
		return
	}
	d.err = d.error(d.at, reason)
	d.at = len(d.text)
}

// error is an error about what is at a place of the text.
func (d *Decoder) error(at int, reason string) *Error {
	line, column := 1, 1
	for i := 0; i < at && i < len(d.text); i++ {
		if column++; d.text[i] == '\n' {
			line, column = line+1, 1
		}
	}
	return &Error{line, column, d.pointer(), reason}
}

// pointer is the path as people write it.
func (d *Decoder) pointer() string {
	s := ""
	for _, p := range d.path {
		switch {
		case p.index >= 0:
			s += "[" + strconv.Itoa(p.index) + "]"
		case s != "":
			s += "." + p.key
		default:
			s = p.key
		}
	}
	return s
}

// peek skips white space and returns the next byte, 0 at the end.
func (d *Decoder) peek() byte {
	for d.at < len(d.text) {
		switch c := d.text[d.at]; c {
		case ' ', '\t', '\n', '\r':
			d.at++
		case 0:
			d.fail("a NUL byte is not JSON")
			return 0
		default:
			return c
		}
	}
	return 0
}

// found names what comes next, for errors.
func (d *Decoder) found() string {
	switch c := d.peek(); {
	case c == 0:
		return "end of the document"
	case c == '"':
		return "a string"
	case c == '{':
		return "an object"
	case c == '[':
		return "an array"
	case c == 't' || c == 'f':
		return "a boolean"
	case c == 'n':
		return "null"
	case c == '-' || '0' <= c && c <= '9':
		return "a number"
	case c < 0x20 || c >= 0x7f:
		return "byte 0x" + strconv.FormatUint(uint64(c), 16)
	default:
		return "'" + string(rune(c)) + "'"
	}
}

// want fails with what should have come.
func (d *Decoder) want(what string) { d.fail("expected " + what + ", found " + d.found()) }

// mismatch is a value of another type than what is wanted.
func (d *Decoder) mismatch(what string) {
	switch c := d.peek(); {
	case !d.lenient, c == 0, c == '}', c == ']', c == ',', c == ':':
		d.want(what)
	default:
		d.last = d.at
		d.Refuse("expected " + what + ", found " + d.found())
		d.Skip()
	}
}

// AtArray reports whether an array is next.
func (d *Decoder) AtArray() bool { return d.peek() == '[' }

// Null consumes a null if that is next.
func (d *Decoder) Null() bool {
	if d.peek() == 'n' {
		return d.word("null")
	}
	return false
}

func (d *Decoder) word(w string) bool {
	if len(d.text)-d.at >= len(w) && d.text[d.at:d.at+len(w)] == w {
		d.at += len(w)
		return true
	}
	d.fail("expected a value")
	return false
}

// Object reads an object: member is called for each, must read its value, and
// is not called for null.
func (d *Decoder) Object(member func(key string)) {
	if !d.open('{', "an object") {
		return
	}
	var keys keys
	for first := true; d.more('}', first, "a member"); first = false {
		if d.peek() != '"' {
			d.want("a member's name in double quotes")
			return
		}
		key := d.str()
		d.path = append(d.path, segment{key, -1})
		if !keys.add(key) {
			d.Refuse("duplicate member")
		}
		if d.peek() != ':' {
			d.want("':' after a member's name")
			return
		}
		d.at++
		before := d.at
		d.skipped = -1
		member(key)
		if d.fold != nil && d.skipped == before && d.err == nil {
			if name := d.fold(key); name != key {
				d.at, d.path[len(d.path)-1].key = before, name
				member(name)
			}
		}
		d.left(before)
	}
}

// Array reads an array: element is called for each and must read its value.
func (d *Decoder) Array(element func(index int)) {
	if !d.open('[', "an array") {
		return
	}
	for i := 0; d.more(']', i == 0, "a value"); i++ {
		d.path = append(d.path, segment{"", i})
		before := d.at
		element(i)
		d.left(before)
	}
}

// left pops the path; an error leaves it for nobody.
func (d *Decoder) left(before int) {
	if d.err == nil && d.at == before {
		panic("json: a value was not read")
	}
	d.path = d.path[:len(d.path)-1]
}

func (d *Decoder) open(c byte, what string) bool {
	if d.err != nil || d.Null() {
		return false
	}
	if d.peek() != c {
		d.mismatch(what)
		return false
	}
	if len(d.path) >= maxDepth {
		d.fail("nested deeper than " + strconv.Itoa(maxDepth))
		return false
	}
	d.at++
	return true
}

// more reports whether another member or element follows, past the comma.
func (d *Decoder) more(end byte, first bool, what string) bool {
	if d.err != nil {
		return false
	}
	c := d.peek()
	switch {
	case c == end:
		d.at++
		return false
	case first:
		return true
	case c != ',':
		d.want("',' or '" + string(rune(end)) + "'")
		return false
	}
	d.at++
	if d.peek() == end {
		d.want(what + " after ','")
		return false
	}
	return true
}

// keys finds duplicates: by comparison, and in a large object by a map.
type keys struct {
	list []string
	set  map[string]struct{}
}

func (k *keys) add(key string) bool {
	if k.set == nil {
		for _, other := range k.list {
			if other == key {
				return false
			}
		}
		k.list = append(k.list, key)
		if len(k.list) == 64 {
			k.set = make(map[string]struct{}, 128)
			for _, other := range k.list {
				k.set[other] = struct{}{}
			}
		}
		return true
	}
	_, there := k.set[key]
	k.set[key] = struct{}{}
	return !there
}

// Skip reads any value and checks that it is JSON.
func (d *Decoder) Skip() {
	at := d.at
	d.skip()
	d.skipped = at
}

func (d *Decoder) skip() {
	switch c := d.peek(); c {
	case '{':
		d.Object(func(string) { d.skip() })
	case '[':
		d.Array(func(int) { d.skip() })
	case '"':
		d.str()
	case 't':
		d.word("true")
	case 'f':
		d.word("false")
	case 'n':
		d.word("null")
	default:
		if c == '-' || '0' <= c && c <= '9' {
			d.number()
			return
		}
		d.want("a value")
	}
}

// Raw reads any value, checks that it is JSON and returns its text.
func (d *Decoder) Raw() string {
	d.peek()
	start := d.at
	d.Skip()
	if d.err != nil {
		return ""
	}
	return d.text[start:d.at]
}

// Bool reads true or false.
func (d *Decoder) Bool() bool {
	switch d.peek() {
	case 't':
		return d.word("true")
	case 'f':
		d.word("false")
	case 'n':
		d.word("null")
	default:
		d.mismatch("true or false")
	}
	return false
}

// String reads a string.
func (d *Decoder) String() string {
	switch d.peek() {
	case '"':
		return d.str()
	case 'n':
		d.word("null")
	default:
		d.mismatch("a string")
	}
	return ""
}

// Strings reads an array of strings; an empty one is not nil, null is.
func (d *Decoder) Strings() []string {
	if d.Null() {
		return nil
	}
	list := make([]string, 0, 8)
	d.Array(func(int) { list = append(list, d.String()) })
	return list
}

// Int reads an integer of so many bits.
func (d *Decoder) Int(bits int) int64 {
	text, ok := d.integer()
	if !ok {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, bits)
	if err != nil {
		d.Refuse(text + " is out of range (" + strconv.Itoa(bits) + " bits)")
	}
	return n
}

// Uint reads an unsigned integer of so many bits.
func (d *Decoder) Uint(bits int) uint64 {
	text, ok := d.integer()
	if !ok {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, bits)
	if err != nil {
		d.Refuse(text + " is out of range (unsigned, " + strconv.Itoa(bits) + " bits)")
	}
	return n
}

// Float reads a number.
func (d *Decoder) Float() float64 {
	if c := d.peek(); c != '-' && (c < '0' || c > '9') {
		if !d.Null() {
			d.mismatch("a number")
		}
		return 0
	}
	text, _ := d.number()
	n, err := strconv.ParseFloat(text, 64)
	if err != nil && d.err == nil {
		d.Refuse(text + " is out of range")
	}
	return n
}

// integer reads the text of a whole number; there is none for null.
func (d *Decoder) integer() (text string, ok bool) {
	c := d.peek()
	if c != '-' && (c < '0' || c > '9') {
		if !d.Null() {
			d.mismatch("a number")
		}
		return "", false
	}
	text, whole := d.number()
	if !whole && d.err == nil {
		d.Refuse("expected a whole number, found " + text)
	}
	return text, whole && d.err == nil
}

// number reads a number and tells whether it has neither fraction nor
// exponent.
func (d *Decoder) number() (text string, whole bool) {
	start := d.at
	d.last = start
	if d.at < len(d.text) && d.text[d.at] == '-' {
		d.at++
	}
	zero := d.at < len(d.text) && d.text[d.at] == '0'
	n := d.digits()
	if n == 0 || zero && n > 1 {
		d.fail("malformed number")
		return "", false
	}
	whole = true
	if d.at < len(d.text) && d.text[d.at] == '.' {
		d.at++
		whole = false
		if d.digits() == 0 {
			d.fail("malformed number")
		}
	}
	if d.at < len(d.text) && (d.text[d.at] == 'e' || d.text[d.at] == 'E') {
		d.at++
		whole = false
		if d.at < len(d.text) && (d.text[d.at] == '+' || d.text[d.at] == '-') {
			d.at++
		}
		if d.digits() == 0 {
			d.fail("malformed number")
		}
	}
	return d.text[min(start, d.at):d.at], whole
}

func (d *Decoder) digits() int {
	start := d.at
	for d.at < len(d.text) && '0' <= d.text[d.at] && d.text[d.at] <= '9' {
		d.at++
	}
	return d.at - start
}

// str reads a string; the next byte is its quote.
func (d *Decoder) str() string {
	d.last = d.at
	start := d.at + 1
	for i := start; i < len(d.text); i++ {
		c := d.text[i]
		if c == '"' {
			d.at = i + 1
			return d.text[start:i]
		}
		if c == '\\' || c < 0x20 || c >= utf8.RuneSelf {
			break
		}
	}
	return d.slowStr(start)
}

func (d *Decoder) slowStr(start int) string {
	var b []byte
	for d.at = start; d.at < len(d.text); {
		switch c := d.text[d.at]; {
		case c == '"':
			d.at++
			return string(b)
		case c == '\\':
			if b = d.escape(b); d.err != nil {
				return ""
			}
		case c < 0x20:
			d.fail("control character 0x" + strconv.FormatUint(uint64(c), 16) + " in a string: write it as an escape")
			return ""
		case c < utf8.RuneSelf:
			b = append(b, c)
			d.at++
		default:
			r, n := utf8.DecodeRuneInString(d.text[d.at:])
			if r == utf8.RuneError && n == 1 {
				d.fail("invalid UTF-8 in a string")
				return ""
			}
			b = append(b, d.text[d.at:d.at+n]...)
			d.at += n
		}
	}
	d.at = start - 1
	d.fail("a string without an end")
	return ""
}

func (d *Decoder) escape(b []byte) []byte {
	if d.at+1 >= len(d.text) {
		d.at = len(d.text)
		return b
	}
	c := d.text[d.at+1]
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return d.unicode(b)
	default:
		d.fail("unknown escape in a string")
		return b
	}
	d.at += 2
	return append(b, c)
}

// unicode reads \uXXXX, and the second half of a surrogate pair.
func (d *Decoder) unicode(b []byte) []byte {
	r, ok := d.hex4(d.at)
	if ok && r >= 0xdc00 && r < 0xe000 {
		ok = false
	}
	n := 6
	if ok && r >= 0xd800 && r < 0xdc00 {
		low, second := d.hex4(d.at + 6)
		ok = second && low >= 0xdc00 && low < 0xe000
		r = 0x10000 + (r-0xd800)<<10 + (low - 0xdc00)
		n = 12
	}
	if !ok {
		d.fail("malformed \\u escape in a string: four hexadecimal digits, surrogates in pairs")
		return b
	}
	d.at += n
	return utf8.AppendRune(b, r)
}

func (d *Decoder) hex4(at int) (rune, bool) {
	if at+6 > len(d.text) || d.text[at] != '\\' || d.text[at+1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(d.text[at+2:at+6], 16, 32)
	return rune(n), err == nil && d.text[at+2] != '+'
}
