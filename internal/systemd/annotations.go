package systemd

import (
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"ostia/internal/dbus"
	"ostia/internal/spec"
)

// Property is one property of a unit, and where in the configuration it comes
// from.
type Property struct {
	Name    string
	Value   dbus.Value
	Pointer string
}

const prefix = spec.AnnotationProperty

// Annotated are the properties that annotations set, sorted by name:
// org.systemd.property.NAME, the value in GVariant text format as for runc and
// crun.
func Annotated(annotations map[string]string) ([]Property, error) {
	var list []Property
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		name, ok := strings.CutPrefix(key, prefix)
		if !ok {
			continue
		}
		p, err := annotated(name, annotations[key])
		if err != nil {
			return nil, &spec.Error{Pointer: "annotations." + key, Err: err}
		}
		p.Pointer = "annotations." + key
		list = append(list, p)
	}
	return list, nil
}

func annotated(name, text string) (p Property, err error) {
	switch name {
	case "Slice", "PIDs":
		return p, errors.New("is ostia's to set: the slice is the first part of linux.cgroupsPath")
	}
	for i := range len(name) {
		if c := name[i] | 0x20; c < 'a' || c > 'z' {
			return p, errors.New("is no property of systemd: its name has letters only, like TimeoutStopUSec")
		}
	}
	if len(name) < 3 {
		return p, errors.New("is no property of systemd: the name is too short")
	}
	value, err := dbus.Parse(text)
	if err != nil {
		return p, errors.New(strconv.Quote(text) + " " + err.Error())
	}
	// Units are documented with NameSec, the bus has NameUSec.
	if base, ok := strings.CutSuffix(name, "Sec"); ok && base != "" && base[len(base)-1] >= 'a' {
		name = base + "USec"
		if value, err = microseconds(value); err != nil {
			return p, err
		}
	}
	return Property{Name: name, Value: value}, nil
}

// microseconds is a number of seconds as a property has it.
func microseconds(v dbus.Value) (dbus.Value, error) {
	const second = 1_000_000
	switch v.Type {
	case "d":
		f := math.Float64frombits(v.Number) * second
		if f >= 0 && f < math.MaxUint64 {
			return dbus.Uint64(uint64(f)), nil
		}
	case "n", "i", "x":
		if n := int64(v.Number); n >= 0 && n <= math.MaxInt64/second {
			return dbus.Uint64(uint64(n) * second), nil
		}
	case "y", "q", "u", "t":
		if v.Number <= math.MaxUint64/second {
			return dbus.Uint64(v.Number * second), nil
		}
		if v.Number == math.MaxUint64 { // systemd's infinity
			return v, nil
		}
	default:
		return v, errors.New("is no number: give seconds, or use the name with USec")
	}
	return v, errors.New("is no number of seconds that systemd can count")
}

// explain is systemd's refusal of a property with the place that it comes
// from: the sentence names it.
func explain(err error, properties []Property) error {
	var e *dbus.Error
	if !errors.As(err, &e) {
		return err
	}
	for w := range strings.FieldsFuncSeq(e.Text, func(r rune) bool { return r|0x20 < 'a' || r|0x20 > 'z' }) {
		for i := range properties {
			if properties[i].Name == w {
				return &spec.Error{Pointer: properties[i].Pointer, Err: err}
			}
		}
	}
	return err
}
