package scim

import (
	"encoding/json"
	"slices"
	"strings"
)

// value is one item of a multi-valued attribute (RFC 7643 section 2.4).
type value struct {
	Value   text   `json:"value"`
	Display text   `json:"display"`
	Type    string `json:"type"`
	Primary flag   `json:"primary"`
	// unread means that it has a value, in a form that cannot be read.
	unread bool
}

// name is what the item is called, for people.
func (v value) name() string {
	if name := strings.TrimSpace(string(v.Display)); name != "" {
		return name
	}
	return strings.TrimSpace(string(v.Value))
}

func (v value) nameless() bool { return v.name() == "" }

// values is a multi-valued attribute. Servers send a list of objects, a list of
// strings, one object or one string; whatever else is in it is a value that is unread.
// Of an attribute that occurs twice all values count.
type values []value

// UnmarshalJSON reads all of these forms.
func (vs *values) UnmarshalJSON(raw []byte) error {
	if !vs.readPlain(string(raw)) {
		vs.readOdd(raw)
	}
	return nil
}

// readPlain reads the form of plainValues, and reports whether it was that.
func (vs *values) readPlain(raw string) bool {
	items, plain := plainValues(raw)
	if plain = plain && !slices.ContainsFunc(items, value.nameless); plain {
		vs.add(items...)
	}
	return plain
}

// readOdd reads any form.
func (vs *values) readOdd(raw []byte) {
	if len(raw) == 0 || raw[0] != '[' {
		vs.add(readValue(raw))
		return
	}
	var items []value
	if json.Unmarshal(raw, &items) == nil && !slices.ContainsFunc(items, value.nameless) {
		vs.add(items...)
		return
	}
	var raws []json.RawMessage
	if json.Unmarshal(raw, &raws) == nil {
		for _, item := range raws {
			vs.add(readValue(item))
		}
	}
}

func (vs *values) add(items ...value) {
	for _, item := range items {
		if !item.nameless() || item.unread {
			*vs = append(*vs, item)
		}
	}
}

// readValue reads an item in any form, or leaves it empty.
func readValue(raw json.RawMessage) (item value) {
	if len(raw) > 0 && raw[0] == '{' {
		// A member of the wrong type is left out, the others are read.
		_ = json.Unmarshal(raw, &item)
		item.unread = item.nameless() && holdsValue(raw)
	} else {
		_ = item.Value.UnmarshalJSON(raw)
		item.unread = holdsMore(raw)
	}
	return item
}

// holdsValue reports whether an object without a value or a name has one that is not
// read: in another form, or in a member that the standard does not have.
func holdsValue(object json.RawMessage) bool {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(object, &members)
	for name, member := range members {
		switch strings.ToLower(name) {
		case "type", "primary", "$ref":
		case "value", "display":
			if holdsMore(member) {
				return true
			}
		default:
			if string(member) != `""` && (holdsMore(member) || member[0] == '"' || member[0] == '-' || '0' <= member[0] && member[0] <= '9') {
				return true
			}
		}
	}
	return false
}

// holdsMore reports whether a value in JSON is anything but a text, a number or nothing.
func holdsMore(raw json.RawMessage) bool {
	switch string(raw) {
	case "", "null", "[]", "{}":
		return false
	}
	return strings.IndexByte("[{tf", raw[0]) >= 0
}

// read reports whether any of the values could be read.
func (vs values) read() bool {
	return slices.ContainsFunc(vs, func(item value) bool { return !item.unread })
}
