package scim

import "strings"

// flag is a boolean that may be absent and comes as true, "True", 1 or "1".
type flag uint8

const (
	flagAbsent flag = iota // not sent, or null
	flagTrue
	flagFalse
	flagUnclear // sent, but neither true nor false, or both
)

// UnmarshalJSON reads every form of a boolean; one that is none is unclear, and so is
// an empty text: only null means that there is no value (RFC 7643 section 2.5). A
// member that occurs twice is read twice, and each of its values counts.
func (f *flag) UnmarshalJSON(raw []byte) error {
	read := flagUnclear
	if string(raw) == "null" {
		return nil
	}
	written := string(raw)
	if len(raw) > 0 && raw[0] == '"' {
		var unquoted text
		_ = unquoted.UnmarshalJSON(raw)
		written = string(unquoted)
	}
	switch strings.ToLower(strings.TrimSpace(written)) {
	case "true", "1":
		read = flagTrue
	case "false", "0":
		read = flagFalse
	}
	*f = f.and(read)
	return nil
}

// and is what two values of one attribute come to: true and false are no answer.
func (f flag) and(other flag) flag {
	switch {
	case f == flagAbsent:
		return other
	case other == flagAbsent || other == f:
		return f
	}
	return flagUnclear
}
