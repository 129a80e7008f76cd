package image

import (
	"bytes"
	"debug/elf"
	"errors"
	"strings"
)

// dependencies are the modules that one names in its .modinfo section:
// "depends=a,b".
func dependencies(content []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, errors.New("no .modinfo section")
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	var names []string
	for entry := range strings.SplitSeq(string(info), "\x00") {
		if list, ok := strings.CutPrefix(entry, "depends="); ok {
			for name := range strings.SplitSeq(list, ",") {
				if name != "" {
					names = append(names, strings.ReplaceAll(name, "-", "_"))
				}
			}
		}
	}
	return names, nil
}
