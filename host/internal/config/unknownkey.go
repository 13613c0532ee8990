package config

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/batonhost/baton-host/host/internal/errtext"
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
	if near := errtext.Nearest(key, known); near != "" {
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
