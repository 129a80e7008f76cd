package dbus

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Parse reads a value in GVariant text format, as annotations of containers
// hold it: true, 'text', 12, uint64 12, ['a', 'b'], @as [], [('a', 'b')],
// {'k': <1>}. A number without a type is an int32, or a double when it has a
// point.
func Parse(text string) (Value, error) {
	p := parser{s: text}
	v := p.value("", 0)
	p.space()
	if p.err == nil && p.s != "" {
		p.fail("ends before " + strconv.Quote(p.s))
	}
	return v, p.err
}

// parser reads from the front of s; the first thing that does not fit is err.
type parser struct {
	s   string
	err error
}

func (p *parser) fail(reason string) Value {
	if p.err == nil {
		p.err = errors.New(reason)
	}
	p.s = ""
	return Value{}
}

func (p *parser) space() { p.s = strings.TrimLeft(p.s, " \t\r\n") }

// next takes c off the front, if it is there.
func (p *parser) next(c byte) bool {
	p.space()
	if p.s == "" || p.s[0] != c {
		return false
	}
	p.s = p.s[1:]
	return true
}

// word takes what may be a keyword, a number or a type off the front.
func (p *parser) word(more string) string {
	n := 0
	for n < len(p.s) && (isAlnum(p.s[n]) || strings.IndexByte(more, p.s[n]) >= 0) {
		n++
	}
	word := p.s[:n]
	p.s = p.s[n:]
	return word
}

func isAlnum(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' }

// value reads a value of a type, which is empty when any will do.
func (p *parser) value(want string, depth int) Value {
	p.space()
	switch {
	case p.err != nil:
		return Value{}
	case depth > maxDepth:
		return p.fail("is nested too deep")
	case p.s == "":
		return p.fail("ends where a value should be")
	}
	switch p.s[0] {
	case '@':
		p.s = p.s[1:]
		kind := p.word("(){}")
		if n := completeType(kind, 0); n == 0 || n != len(kind) {
			return p.fail(strconv.Quote(kind) + " is no type")
		}
		return p.typed(want, kind, depth)
	case '\'', '"':
		return p.quoted(want)
	case '[':
		return p.list(want, '[', ']', depth)
	case '(':
		return p.list(want, '(', ')', depth)
	case '{':
		return p.list(want, '{', '}', depth)
	case '<':
		p.s = p.s[1:]
		v := Variant(p.value("", depth+1))
		if p.err == nil && !p.next('>') {
			return p.fail("lacks a >")
		}
		return p.check(want, v)
	}
	word := p.word("+-.")
	for _, k := range [...]struct {
		name string
		kind string
	}{
		{"boolean", "b"}, {"byte", "y"}, {"int16", "n"}, {"uint16", "q"}, {"int32", "i"}, {"uint32", "u"}, {"handle", "i"},
		{"int64", "x"}, {"uint64", "t"}, {"double", "d"}, {"string", "s"}, {"objectpath", "o"}, {"signature", "g"},
	} {
		if word == k.name {
			return p.typed(want, k.kind, depth)
		}
	}
	switch {
	case word == "true" || word == "false":
		return p.check(want, Bool(word == "true"))
	case word == "":
		return p.fail(strconv.Quote(p.s) + " is no value: text is put in quotes, like 'text'")
	}
	return p.number(want, word)
}

// typed reads a value whose type has just been given.
func (p *parser) typed(want, kind string, depth int) Value {
	if want != "" && want != kind {
		return p.fail("mixes values of different types")
	}
	return p.value(kind, depth+1)
}

func (p *parser) check(want string, v Value) Value {
	if p.err == nil && want != "" && want != v.Type {
		return p.fail("has a value of another type than it says")
	}
	return v
}

// number reads the number in a word.
func (p *parser) number(want, word string) Value {
	v := Value{Type: want}
	if want == "" {
		v.Type = "i"
		if strings.ContainsAny(word, ".") || !strings.HasPrefix(strings.TrimLeft(word, "+-"), "0x") && strings.ContainsAny(word, "eE") {
			v.Type = "d"
		}
	}
	var err error
	signed, unsigned := 0, 0
	switch v.Type {
	case "y":
		unsigned = 8
	case "q":
		unsigned = 16
	case "u":
		unsigned = 32
	case "t":
		unsigned = 64
	case "n":
		signed = 16
	case "i":
		signed = 32
	case "x":
		signed = 64
	case "d":
		var f float64
		f, err = strconv.ParseFloat(word, 64)
		v.Number = math.Float64bits(f)
	default:
		return p.fail("has a number where another type should be: text is put in quotes, like 'text'")
	}
	if unsigned > 0 {
		v.Number, err = strconv.ParseUint(word, 0, unsigned)
	} else if signed > 0 {
		var n int64
		n, err = strconv.ParseInt(word, 0, signed)
		v.Number = uint64(n)
	}
	switch {
	case errors.Is(err, strconv.ErrRange):
		return p.fail(word + " is too large for its type: put the type before it, like uint64 " + word)
	case err != nil:
		return p.fail(strconv.Quote(word) + " is no value: text is put in quotes, like 'text'")
	}
	return v
}

// quoted reads text in quotes.
func (p *parser) quoted(want string) Value {
	v := Value{Type: want}
	if want == "" {
		v.Type = "s"
	}
	if v.Type != "s" && v.Type != "o" && v.Type != "g" {
		return p.fail("has text where another type should be")
	}
	quote := p.s[0]
	var text []byte
	for at := 1; at < len(p.s); at++ {
		c := p.s[at]
		switch {
		case c == quote:
			p.s = p.s[at+1:]
			v.Text = string(text)
			if !utf8.ValidString(v.Text) || strings.IndexByte(v.Text, 0) >= 0 {
				return p.fail("has text that is not UTF-8, or has a NUL")
			}
			if v.Type == "g" && len(v.Text) > 255 {
				return p.fail("has a signature of more than 255 bytes")
			}
			return v
		case c != '\\':
			text = append(text, c)
			continue
		}
		if at++; at == len(p.s) {
			break
		}
		digits := 0
		switch c = p.s[at]; c {
		case 'u':
			digits = 4
		case 'U':
			digits = 8
		default:
			if i := strings.IndexByte("abfnrtv", c); i >= 0 {
				c = "\a\b\f\n\r\t\v"[i]
			}
			text = append(text, c)
			continue
		}
		if at+digits >= len(p.s) {
			break
		}
		n, err := strconv.ParseUint(p.s[at+1:at+1+digits], 16, 31)
		if err != nil || !utf8.ValidRune(rune(n)) {
			return p.fail("has an escape that is no character")
		}
		text = utf8.AppendRune(text, rune(n))
		at += digits
	}
	return p.fail("lacks a closing quote")
}

// list reads an array, a struct or a dictionary.
func (p *parser) list(want string, open, end byte, depth int) Value {
	p.next(open)
	var list []Value
	// The type of the first element is that of all, but for those of a struct.
	var element string
	rest := ""
	if want != "" {
		switch {
		case open == '[' && want[0] == 'a' && want[1] != '{', open == '{' && strings.HasPrefix(want, "a{"):
			element = want[1:]
		case open == '(' && want[0] == '(':
			rest = want[1 : len(want)-1]
		default:
			return p.fail("has a list where another type should be")
		}
	}
	for !p.next(end) {
		if len(list) > 0 && !p.next(',') {
			return p.fail("lacks a , or a " + string(rune(end)))
		}
		if len(list) > 0 && p.next(end) { // ('a',) is a struct of one
			break
		}
		kind := element
		if open == '(' && want != "" {
			n := completeType(rest, 0)
			if n == 0 {
				return p.fail("has more fields than its type")
			}
			kind, rest = rest[:n], rest[n:]
		}
		var v Value
		if open == '{' {
			v = p.entry(kind, depth)
		} else {
			v = p.value(kind, depth+1)
		}
		if p.err != nil {
			return Value{}
		}
		list = append(list, v)
		if open != '(' {
			element = v.Type
		}
	}
	v := Value{Type: want, List: list}
	switch {
	case open == '(' && (len(list) == 0 || rest != ""):
		return p.fail("has a struct that lacks fields")
	case open == '(':
		v = Struct(list...)
	case element == "":
		return p.fail("has an empty list without a type: write it as @as []")
	default:
		v.Type = "a" + element
	}
	if n := completeType(v.Type, 0); n != len(v.Type) || len(v.Type) > 255 {
		return p.fail("is nested too deep")
	}
	if v.Type == "ay" {
		text := make([]byte, len(v.List))
		for i := range text {
			text[i] = byte(v.List[i].Number)
		}
		v.Text, v.List = string(text), nil
	}
	return v
}

// entry reads KEY: VALUE of a dictionary.
func (p *parser) entry(want string, depth int) Value {
	key, value := "", ""
	if want != "" {
		key, value = want[1:2], want[2:len(want)-1]
	}
	k := p.value(key, depth+1)
	if p.err == nil && !p.next(':') {
		return p.fail("lacks a : behind a key")
	}
	v := p.value(value, depth+1)
	if p.err == nil && len(k.Type) != 1 {
		return p.fail("has a key that is no plain value")
	}
	return Value{Type: "{" + k.Type + v.Type + "}", List: []Value{k, v}}
}
