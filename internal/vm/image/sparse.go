package image

import "os"

// sparse writes a file with holes where whole blocks are zeros, which the
// monitor need not read. The file gets its length, at, by whoever made it.
type sparse struct {
	file *os.File
	at   int64
}

func (s *sparse) Write(p []byte) (int, error) {
	const block = 4096
	for rest := p; len(rest) > 0; {
		piece := rest[:min(len(rest), block-int(s.at%block))]
		if !zeros(piece) {
			if _, err := s.file.WriteAt(piece, s.at); err != nil {
				return len(p) - len(rest), err
			}
		}
		s.at += int64(len(piece))
		rest = rest[len(piece):]
	}
	return len(p), nil
}

func zeros(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}
