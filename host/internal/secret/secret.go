// Package secret keeps secrets apart from what is printed, resolves the references
// to them that stand in a configuration, and warns of files that others may read.
//
// The configuration calls it for every text that may hold a reference, and keeps
// what it gets as a [Text]. It must never put a resolved value into an error or a
// warning, nor write one anywhere.
package secret

import (
	"fmt"
	"io"

	"github.com/batonhost/baton-host/plugin/redact"
)

// Text is a text that is not printed by accident: every way of formatting or
// encoding it gives "(secret)". The zero value is the empty text.
type Text struct {
	// A function, because packages that print by reflection go through
	// unexported fields and around the methods below.
	reveal func() string
}

// New keeps the text.
func New(text string) Text {
	return Text{reveal: func() string { return text }}
}

// Reveal returns the text. Call it where the text is used, and nowhere else.
func (s Text) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// String returns "(secret)".
func (Text) String() string { return redact.Hidden }

// GoString returns "(secret)".
func (Text) GoString() string { return redact.Hidden }

// Format writes "(secret)", whatever the verb.
func (Text) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, redact.Hidden) }

// MarshalText returns "(secret)".
func (Text) MarshalText() ([]byte, error) { return []byte(redact.Hidden), nil }

// MarshalJSON returns "(secret)" as a JSON string.
func (Text) MarshalJSON() ([]byte, error) { return []byte(`"` + redact.Hidden + `"`), nil }
