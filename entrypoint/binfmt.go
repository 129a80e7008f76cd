package entrypoint

import "strings"

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

func readHandlers() ([]Handler, bool) { return nil, true }

func tryHeader(header []byte) bool { return false }
