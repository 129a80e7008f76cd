// Package typo says which known word a mistyped one most likely means.
package typo

import "iter"

// Nearest returns the word that a mistyped one most likely means, or "": a
// word that begins with it, or the one at the smallest edit distance, at most
// two and at most a third of the length.
func Nearest(typed string, words iter.Seq[string]) string {
	best, bestDistance := "", min(2, (len(typed)+1)/3)+1
	if len(typed) > 64 {
		return ""
	}
	for w := range words {
		d := distance(typed, w)
		if len(typed) > 2 && len(w) > len(typed) && w[:len(typed)] == typed {
			d = 1
		}
		if d < bestDistance {
			best, bestDistance = w, d
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b.
func distance(a, b string) int {
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}
