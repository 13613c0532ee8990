package scim

import "strings"

// flag is a boolean that may be absent and comes as true, "True", 1 or "1".
type flag uint8

const (
	flagAbsent flag = iota // not told, or null
	flagTrue
	flagFalse
	flagUnclear // told, but neither true nor false
)

// UnmarshalJSON reads every form of a boolean; one that is none is unclear.
func (f *flag) UnmarshalJSON(raw []byte) error {
	switch strings.ToLower(strings.TrimSpace(strings.Trim(string(raw), `"`))) {
	case "null", "":
		*f = flagAbsent
	case "true", "1":
		*f = flagTrue
	case "false", "0":
		*f = flagFalse
	default:
		*f = flagUnclear
	}
	return nil
}
