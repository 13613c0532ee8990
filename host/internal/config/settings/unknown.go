package settings

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/batonhost/baton-host/host/internal/errtext"
)

// longestShown is the length up to which a key is repeated in a message.
const longestShown = 40

var keyForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// LooksLikeKey reports whether a message may repeat a key. What does not look like one
// may be a value in the wrong place, a secret even.
func LooksLikeKey(key string) bool {
	return len(key) <= longestShown && keyForm.MatchString(key)
}

// UnknownKey returns that a key is not among the known ones, and which one may be
// meant. A key without a value is repeated only if it is nearly a known one: it
// may be a value whose key was forgotten.
func UnknownKey(key string, hasValue bool, known []string, owner string) string {
	if near := errtext.Nearest(key, known); near != "" {
		return fmt.Sprintf("unknown key %q; did you mean %q?", key, near)
	}
	name := "unknown key"
	if hasValue && LooksLikeKey(key) {
		name = fmt.Sprintf("unknown key %q", key)
	}
	if len(known) == 0 {
		return fmt.Sprintf("%s; %s takes no keys", name, owner)
	}
	return fmt.Sprintf("%s; %s takes %s", name, owner, strings.Join(known, ", "))
}

// MaxName is the greatest length of a plugin's or an upload's name, in bytes.
const MaxName = 64

// QuotedName returns a name for a message, cut where it is longer than one may be.
func QuotedName(name string) string {
	if len(name) > MaxName {
		name = strings.ToValidUTF8(name[:MaxName], "") + "…"
	}
	return fmt.Sprintf("%q", name)
}

// MaxSuggestions is the number of problems after which no more near misses are looked
// for, which takes time for each.
const MaxSuggestions = 100
