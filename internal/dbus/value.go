package dbus

import (
	"encoding/binary"
	"math"
)

// Value is one value with its type.
type Value struct {
	Type   string  // a single complete type: "t", "as", "a(ss)"
	Number uint64  // of y b n q i u x t: sign-extended; of d: its IEEE 754 bits
	Text   string  // of s o g, and the bytes of ay
	List   []Value // of an array, a struct, a dict entry: what is in it; of v: the one value
}

// String, Bool, Uint32 and Uint64 make the values of most calls.
func String(s string) Value { return Value{Type: "s", Text: s} }

// Bool is a value of type b.
func Bool(b bool) Value {
	v := Value{Type: "b"}
	if b {
		v.Number = 1
	}
	return v
}

// Uint32 is a value of type u.
func Uint32(n uint32) Value { return Value{Type: "u", Number: uint64(n)} }

// Uint64 is a value of type t.
func Uint64(n uint64) Value { return Value{Type: "t", Number: n} }

// Variant is a value of type v that holds v.
func Variant(v Value) Value { return Value{Type: "v", List: []Value{v}} }

// Struct is a value of its fields' types in brackets.
func Struct(fields ...Value) Value {
	v := Value{Type: "(", List: fields}
	for i := range fields {
		v.Type += fields[i].Type
	}
	v.Type += ")"
	return v
}

// maxDepth is how deep containers may lie in each other. The protocol allows
// 64; nothing that systemd says or hears comes near this.
const maxDepth = 16

// alignment is the boundary on which a value of the type begins.
func alignment(kind byte) int {
	switch kind {
	case 'n', 'q':
		return 2
	case 'b', 'i', 'u', 's', 'o', 'a':
		return 4
	case 'x', 't', 'd', '(', '{':
		return 8
	}
	return 1 // y g v
}

// completeType is the length of the single complete type that a signature
// begins with, 0 when there is none.
func completeType(signature string, depth int) int {
	if signature == "" || depth > maxDepth {
		return 0
	}
	switch signature[0] {
	case 'y', 'b', 'n', 'q', 'i', 'u', 'x', 't', 'd', 's', 'o', 'g', 'v':
		return 1
	case 'a':
		if len(signature) > 1 && signature[1] == '{' {
			return dictType(signature, depth)
		}
		if n := completeType(signature[1:], depth+1); n > 0 {
			return 1 + n
		}
	case '(':
		for at := 1; at < len(signature); {
			if signature[at] == ')' {
				if at == 1 {
					return 0 // a struct is never empty
				}
				return at + 1
			}
			n := completeType(signature[at:], depth+1)
			if n == 0 {
				return 0
			}
			at += n
		}
	}
	return 0
}

// dictType is completeType for "a{KV}", K a basic type.
func dictType(signature string, depth int) int {
	if len(signature) < 5 {
		return 0
	}
	switch signature[2] {
	case 'a', '(', 'v':
		return 0
	}
	if completeType(signature[2:], depth+1) != 1 {
		return 0
	}
	n := completeType(signature[3:], depth+1)
	if n == 0 || 3+n >= len(signature) || signature[3+n] != '}' {
		return 0
	}
	return 4 + n
}

// pad fills up with zeros to a boundary.
func pad(b []byte, alignment int) []byte {
	for len(b)%alignment != 0 {
		b = append(b, 0)
	}
	return b
}

// appendValue marshals v, little-endian, behind b, which begins on a boundary
// of 8.
func appendValue(b []byte, v *Value) []byte {
	kind := v.Type[0]
	b = pad(b, alignment(kind))
	switch kind {
	case 'y':
		return append(b, byte(v.Number))
	case 'n', 'q':
		return binary.LittleEndian.AppendUint16(b, uint16(v.Number))
	case 'b', 'i', 'u':
		return binary.LittleEndian.AppendUint32(b, uint32(v.Number))
	case 'x', 't', 'd':
		return binary.LittleEndian.AppendUint64(b, v.Number)
	case 's', 'o':
		b = binary.LittleEndian.AppendUint32(b, uint32(len(v.Text)))
		return append(append(b, v.Text...), 0)
	case 'g':
		return append(append(append(b, byte(len(v.Text))), v.Text...), 0)
	case 'v':
		b = append(append(append(b, byte(len(v.List[0].Type))), v.List[0].Type...), 0)
		return appendValue(b, &v.List[0])
	case 'a':
		return appendArray(b, v)
	}
	for i := range v.List { // a struct, a dict entry
		b = appendValue(b, &v.List[i])
	}
	return b
}

func appendArray(b []byte, v *Value) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	// The padding to the first element does not count, and is there even when
	// there is no element.
	b = pad(b, alignment(v.Type[1]))
	start := len(b)
	if v.Type == "ay" {
		b = append(b, v.Text...)
	}
	for i := range v.List {
		b = appendValue(b, &v.List[i])
	}
	binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-start))
	return b
}

// decoder reads marshalled values. What does not fit sets bad, and the rest
// reads as zero.
type decoder struct {
	b     []byte // begins on a boundary of 8
	at    int
	order binary.ByteOrder
	bad   bool
}

func (d *decoder) take(n int) []byte {
	if d.bad || n < 0 || n > len(d.b)-d.at {
		d.bad = true
		return nil
	}
	d.at += n
	return d.b[d.at-n : d.at]
}

func (d *decoder) align(n int) {
	if d.at%n == 0 {
		return
	}
	for _, c := range d.take(n - d.at%n) {
		d.bad = d.bad || c != 0
	}
}

func (d *decoder) uint32() uint32 {
	d.align(4)
	if b := d.take(4); b != nil {
		return d.order.Uint32(b)
	}
	return 0
}

// text reads n bytes and the NUL behind them.
func (d *decoder) text(n uint32) string {
	if n >= math.MaxInt32 {
		d.bad = true
		return ""
	}
	b := d.take(int(n) + 1)
	if b == nil || b[n] != 0 {
		d.bad = true
		return ""
	}
	for _, c := range b[:n] {
		d.bad = d.bad || c == 0
	}
	return string(b[:n])
}

func (d *decoder) signature() string {
	if b := d.take(1); b != nil {
		return d.text(uint32(b[0]))
	}
	return ""
}

// value reads a value of a type that completeType has accepted.
func (d *decoder) value(kind string, depth int) (v Value) {
	v.Type = kind
	d.align(alignment(kind[0]))
	if d.bad || depth > maxDepth {
		d.bad = true
		return v
	}
	switch kind[0] {
	case 'y':
		if b := d.take(1); b != nil {
			v.Number = uint64(b[0])
		}
	case 'n':
		v.Number = uint64(int16(d.uint16()))
	case 'q':
		v.Number = uint64(d.uint16())
	case 'i':
		v.Number = uint64(int32(d.uint32()))
	case 'u':
		v.Number = uint64(d.uint32())
	case 'b':
		v.Number = uint64(d.uint32())
		d.bad = d.bad || v.Number > 1
	case 'x', 't', 'd':
		if b := d.take(8); b != nil {
			v.Number = d.order.Uint64(b)
		}
	case 's', 'o':
		v.Text = d.text(d.uint32())
	case 'g':
		v.Text = d.signature()
	case 'v':
		inner := d.signature()
		if d.bad || completeType(inner, depth) != len(inner) || inner == "" {
			d.bad = true
			return v
		}
		v.List = []Value{d.value(inner, depth+1)}
	case 'a':
		d.array(&v, depth)
	default: // a struct, a dict entry
		for rest := kind[1 : len(kind)-1]; rest != "" && !d.bad; {
			n := completeType(rest, depth)
			if n == 0 {
				d.bad = true
				return v
			}
			v.List = append(v.List, d.value(rest[:n], depth+1))
			rest = rest[n:]
		}
	}
	return v
}

func (d *decoder) uint16() uint16 {
	if b := d.take(2); b != nil {
		return d.order.Uint16(b)
	}
	return 0
}

func (d *decoder) array(v *Value, depth int) {
	n := d.uint32()
	d.align(alignment(v.Type[1]))
	if d.bad || n > maxMessage || int(n) > len(d.b)-d.at {
		d.bad = true
		return
	}
	if v.Type == "ay" {
		v.Text = string(d.take(int(n)))
		return
	}
	whole := d.b
	end := d.at + int(n)
	d.b = d.b[:end]
	for d.at < end && !d.bad {
		v.List = append(v.List, d.value(v.Type[1:], depth+1))
	}
	d.b = whole
}
