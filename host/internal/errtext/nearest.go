package errtext

import "strings"

// longest is the length, in bytes, beyond which a text is no mistyped name.
const longest = 80

// Nearest returns the candidate that a person most likely meant, or "".
func Nearest(name string, candidates []string) string {
	if len(name) > longest {
		return ""
	}
	name = folded(name)
	limit := 2
	switch {
	case len(name) < 2:
		limit = 0
	case len(name) < 5:
		limit = 1
	}
	best, bestDistance := "", limit+1
	for _, candidate := range candidates {
		if d := distance(name, folded(candidate), bestDistance); d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// folded takes away what people mix up most: case, and underscores for dashes.
func folded(name string) string {
	return strings.ReplaceAll(strings.ToLower(name), "_", "-")
}

// distance is the least number of single characters to insert, delete or
// replace to turn a into b, or the limit if it is not below.
func distance(a, b string, limit int) int {
	if max(len(a)-len(b), len(b)-len(a)) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(b)], limit)
}
