package scim

import (
	"bytes"
	"encoding/json"
	"strings"
)

// text is a string that some servers send as a number: ids, user names,
// employee numbers. A number keeps the digits it was sent with. Anything else
// is read as empty, never as an error.
type text string

// identifier is a text that names a resource. A member that occurs twice is read twice:
// which of two values counts is not known.
type identifier struct {
	text
	// other is a value that differs from the first one; empty if there is none.
	other text
}

// UnmarshalJSON reads a string or a number.
func (i *identifier) UnmarshalJSON(raw []byte) error {
	var read text
	_ = read.UnmarshalJSON(raw)
	if differ(i.text, read) {
		i.other = read
		return nil
	}
	fillText(&i.text, read)
	return nil
}

// contradicts reports whether there are two values, which differ in the form that counts.
func (i *identifier) contradicts(form func(string) string) bool {
	return differ(form(string(i.text)), form(string(i.other)))
}

func exactly(text string) string { return text }

// UnmarshalJSON reads a string or a number.
func (t *text) UnmarshalJSON(raw []byte) error {
	*t = ""
	switch {
	case len(raw) == 0:
	case raw[0] == '"' && !bytes.ContainsRune(raw, '\\'):
		// By far the most common case: nothing to unescape.
		*t = text(strings.ToValidUTF8(string(raw[1:len(raw)-1]), "\uFFFD"))
	case raw[0] == '"':
		var s string
		if json.Unmarshal(raw, &s) == nil {
			*t = text(s)
		}
	case raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9':
		*t = text(raw)
	}
	return nil
}
