package entrypoint

import (
	"strconv"
	"strings"
)

// Handler is an entry of binfmt_misc.
type Handler struct {
	Name        string
	Interpreter string // absolute, in the container's root
	Fixed       bool   // flag F: the interpreter was opened when it was registered
	Extension   string // matches names that end in "." and this, if not empty
	Offset      int    // else where the magic lies in the first 256 bytes
	Magic, Mask []byte // Mask is nil or as long as Magic
}

// matches does what search_binfmt_handler of the kernel's fs/binfmt_misc.c does.
func (h *Handler) matches(path string, head []byte) bool {
	if h.Extension != "" {
		dot := strings.LastIndexByte(path, '.')
		return dot >= 0 && path[dot+1:] == h.Extension
	}
	if len(h.Magic) == 0 || h.Offset < 0 || h.Offset+len(h.Magic) > bufferSize {
		return false
	}
	var b [bufferSize]byte // a shorter file is followed by NULs, as in the kernel
	copy(b[:], head)
	for i, m := range h.Magic {
		diff := b[h.Offset+i] ^ m
		if h.Mask != nil {
			diff &= h.Mask[i]
		}
		if diff != 0 {
			return false
		}
	}
	return true
}

// handler is the first handler that takes the file.
func (j *judge) handler(path string, head []byte) *Handler {
	h := j.h
	if !h.read {
		h.read, h.known = true, true
		if h.Handlers != nil {
			h.handlers, h.known = h.Handlers()
		}
	}
	for i := range h.handlers {
		if h.handlers[i].matches(path, head) {
			return &h.handlers[i]
		}
	}
	return nil
}

// parseHandler reads the file of a handler below /proc/sys/fs/binfmt_misc. ok is
// false for one that is disabled or not understood.
func parseHandler(name, text string) (h Handler, ok bool) {
	h.Name = name
	enabled, matches := false, false
	for more := true; more; {
		var line string
		line, text, more = strings.Cut(text, "\n")
		key, value, _ := strings.Cut(line, " ")
		var err error
		switch key {
		case "enabled":
			enabled = true
		case "interpreter":
			h.Interpreter = value
		case "flags:":
			h.Fixed = strings.IndexByte(value, 'F') >= 0
		case "extension":
			h.Extension, matches = strings.TrimPrefix(value, "."), len(value) > 1
		case "offset":
			h.Offset, err = strconv.Atoi(value)
		case "magic":
			h.Magic, err = decodeHex(value)
			matches = len(h.Magic) > 0
		case "mask":
			h.Mask, err = decodeHex(value)
		}
		if err != nil {
			return Handler{}, false
		}
	}
	if h.Mask != nil && len(h.Mask) != len(h.Magic) {
		return Handler{}, false
	}
	return h, enabled && matches
}

func decodeHex(s string) ([]byte, error) {
	if len(s)%2 != 0 {
		return nil, strconv.ErrSyntax
	}
	b := make([]byte, len(s)/2)
	for i := range b {
		n, err := strconv.ParseUint(s[2*i:2*i+2], 16, 8)
		if err != nil {
			return nil, err
		}
		b[i] = byte(n)
	}
	return b, nil
}
