package errtext

import (
	"strings"

	"github.com/lithammer/fuzzysearch/fuzzy"
)

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
		if d := fuzzy.LevenshteinDistance(name, folded(candidate)); d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// folded takes away what people mix up most: case, and underscores for dashes.
func folded(name string) string {
	return strings.ReplaceAll(strings.ToLower(name), "_", "-")
}
