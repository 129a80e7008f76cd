package spec

import (
	"errors"

	"ostia/internal/json"
)

// DecodeResources reads a linux.resources object by itself: the file of
// update --resources.
func DecodeResources(text string) (*Resources, error) {
	d := newDecoder(text)
	r := decodeResources(d)
	if err := d.End(); err != nil {
		return nil, err
	}
	if r == nil {
		r = new(Resources)
	}
	return r, nil
}

// Merge returns the text of a configuration that is changed by another: a
// member replaces one of the same name, an element of a list one for the same
// device, page size or interface. Null changes nothing, and the rules of
// linux.resources.devices are left alone, as an update leaves them.
func Merge(config, change string) (string, error) {
	merged, err := merge(config, change, "")
	if err != nil {
		return "", err
	}
	return string(merged), nil
}

// merge changes one JSON text by another. at is where, with a dot before each
// member.
func merge(base, change, at string) ([]byte, error) {
	switch kind(change) {
	case '{':
		return mergeObject(base, change, at)
	case '[':
		return mergeList(base, change)
	}
	return []byte(change), nil
}

type member struct{ key, text string }

func mergeObject(base, change, at string) ([]byte, error) {
	if kind(base) != '{' {
		base = "{}"
	}
	all, err := members(base)
	if err != nil {
		return nil, err
	}
	changes, err := members(change)
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		if c.text == "null" || at == ".linux.resources" && c.key == "devices" {
			continue
		}
		i := 0
		for i < len(all) && all[i].key != c.key {
			i++
		}
		if i == len(all) {
			all = append(all, member{c.key, "null"})
		}
		text, err := merge(all[i].text, c.text, at+"."+c.key)
		if err != nil {
			return nil, err
		}
		all[i].text = string(text)
	}
	e := json.NewEncoder("")
	e.Object(func() {
		for _, m := range all {
			e.Key(m.key).Raw(m.text)
		}
	})
	return e.Bytes(), nil
}

// mergeList replaces the elements that name the same thing and adds others.
func mergeList(base, change string) ([]byte, error) {
	if kind(base) != '[' {
		base = "[]"
	}
	all, err := elements(base)
	if err != nil {
		return nil, err
	}
	changes, err := elements(change)
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		i := 0
		for i < len(all) && (all[i].key == "" || all[i].key != c.key) {
			i++
		}
		if i == len(all) {
			all = append(all, c)
			continue
		}
		text, err := mergeObject(all[i].text, c.text, "")
		if err != nil {
			return nil, err
		}
		all[i].text = string(text)
	}
	e := json.NewEncoder("")
	e.Array(func() {
		for _, m := range all {
			e.Raw(m.text)
		}
	})
	return e.Bytes(), nil
}

func members(text string) ([]member, error) {
	d := json.NewDecoder(text)
	var list []member
	d.Object(func(key string) { list = append(list, member{key, d.Raw()}) })
	return list, d.End()
}

// elements are those of a list; the key of one is what it names.
func elements(text string) ([]member, error) {
	d := json.NewDecoder(text)
	var list []member
	d.Array(func(int) { list = append(list, member{text: d.Raw()}) })
	if err := d.End(); err != nil {
		return nil, err
	}
	for i := range list {
		if kind(list[i].text) != '{' {
			return nil, errors.New("expected an object, found " + list[i].text)
		}
		named, err := members(list[i].text)
		if err != nil {
			return nil, err
		}
		for _, name := range [...]string{"major", "minor", "pageSize", "name"} {
			for _, m := range named {
				if m.key == name {
					list[i].key += " " + m.text
				}
			}
		}
	}
	return list, nil
}

// kind is the first byte of a JSON text.
func kind(text string) byte {
	for i := range len(text) {
		switch text[i] {
		case ' ', '\t', '\r', '\n':
		default:
			return text[i]
		}
	}
	return 0
}
