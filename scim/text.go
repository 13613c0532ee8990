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
