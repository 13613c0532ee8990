package config

import (
	"fmt"
	"regexp"
	"strings"
)

// longestShown is the length up to which a key is repeated in a message.
const longestShown = 40

var keyForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// looksLikeKey says that a message may repeat a key. What does not look like one
// may be a value in the wrong place, a secret even.
func looksLikeKey(key string) bool {
	return len(key) <= longestShown && keyForm.MatchString(key)
}

// unknownKey says that a key is not among the known ones, and which one may be
// meant. A key without a value is repeated only if it is nearly a known one: it
// may be a value whose key was forgotten.
func unknownKey(key string, hasValue bool, known []string, owner string) string {
	if near := nearest(key, known); near != "" {
		return fmt.Sprintf("unknown key %q; did you mean %q?", key, near)
	}
	name := "unknown key"
	if hasValue && looksLikeKey(key) {
		name = fmt.Sprintf("unknown key %q", key)
	}
	if len(known) == 0 {
		return fmt.Sprintf("%s; %s takes no keys", name, owner)
	}
	return fmt.Sprintf("%s; %s takes %s", name, owner, strings.Join(known, ", "))
}

// nearest returns the candidate that a person most likely meant, or "".
func nearest(name string, candidates []string) string {
	if len(name) > 2*longestShown {
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
