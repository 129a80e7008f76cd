package entrypoint

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// matched are words by which engines classify an error, lower case. dockerd
// compares without regard to case.
var matched = [...]string{
	"permission denied", "operation not permitted", "is a directory", "not a directory",
	"not found", "no such file", "open executable",
}

// The longest strings that are printed whole, in bytes as printed. args[0] has
// more room, since dockerd before 23 looks for it in a NotFound message.
const (
	maxName = 80
	maxArg0 = 160
)

// quote is s as a quoted Go string of printable characters, on one line and of
// bounded length. A name that holds the words of an engine's rule is written
// with escaped spaces, so that the rule sees only our own words.
func quote(s string) string { return quoteUpTo(s, maxName) }

func quoteUpTo(s string, longest int) string {
	q := strconv.Quote(s)
	if len(q) > longest+2 {
		q = elide(s, longest*5/8, longest*5/16)
	}
	low := strings.ToLower(q)
	for _, m := range matched {
		if strings.Contains(low, m) {
			return strings.ReplaceAll(q, " ", `\x20`)
		}
	}
	return q
}

// elide quotes the two ends of s, never half a character or half an escape.
func elide(s string, keepHead, keepTail int) string {
	head, i := "", 0
	for i < len(s) {
		_, n := utf8.DecodeRuneInString(s[i:])
		c := quoted(s[i : i+n])
		if len(head)+len(c) > keepHead {
			break
		}
		head += c
		i += n
	}
	tail := ""
	for s = s[i:]; len(s) > 0; {
		_, n := utf8.DecodeLastRuneInString(s)
		c := quoted(s[len(s)-n:])
		if len(tail)+len(c) > keepTail {
			break
		}
		tail = c + tail
		s = s[:len(s)-n]
	}
	return `"` + head + "..." + tail + `"`
}

func quoted(s string) string {
	q := strconv.Quote(s)
	return q[1 : len(q)-1]
}

// plain is a path as it is if it needs no quotes, else quoted.
func plain(path string) string {
	if path == "" || len(path) > maxName {
		return quote(path)
	}
	for i := 0; i < len(path); i++ {
		c := path[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && strings.IndexByte("/._-+@%=~,", c) < 0 {
			return quote(path)
		}
	}
	return path
}
