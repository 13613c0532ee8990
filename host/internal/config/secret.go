package config

import (
	"fmt"
	"io"

	"github.com/batonhost/baton-host/plugin/redact"
)

// Secret is a text that is not printed by accident: every way of formatting or
// encoding it gives "(secret)". The zero value is the empty text.
type Secret struct {
	// A function, because packages that print by reflection go through
	// unexported fields and around the methods below.
	reveal func() string
}

// NewSecret keeps the text.
func NewSecret(text string) Secret {
	return Secret{reveal: func() string { return text }}
}

// Reveal returns the text. Call it where the text is used, and nowhere else.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// String returns "(secret)".
func (Secret) String() string { return redact.Hidden }

// GoString returns "(secret)".
func (Secret) GoString() string { return redact.Hidden }

// Format writes "(secret)", whatever the verb.
func (Secret) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, redact.Hidden) }

// MarshalText returns "(secret)".
func (Secret) MarshalText() ([]byte, error) { return []byte(redact.Hidden), nil }

// MarshalJSON returns "(secret)" as a JSON string.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redact.Hidden + `"`), nil }
