package scim

import (
	"encoding/json"
	"strings"
)

// value is one item of a multi-valued attribute (RFC 7643 section 2.4).
type value struct {
	Value   text   `json:"value"`
	Display text   `json:"display"`
	Type    string `json:"type"`
	Primary flag   `json:"primary"`
}

// name is what the item is called, for people.
func (v value) name() string {
	if name := strings.TrimSpace(string(v.Display)); name != "" {
		return name
	}
	return strings.TrimSpace(string(v.Value))
}

// values is a multi-valued attribute. Servers send a list of objects, a list of
// strings, one object or one string; whatever else is in it is left out.
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
	if plain {
		*vs = nil
		vs.add(items...)
	}
	return plain
}

// readOdd reads any form.
func (vs *values) readOdd(raw []byte) {
	*vs = nil
	if len(raw) == 0 || raw[0] != '[' {
		vs.add(readValue(raw))
		return
	}
	var items []value
	if json.Unmarshal(raw, &items) == nil {
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
		if item.name() != "" {
			*vs = append(*vs, item)
		}
	}
}

// readValue reads an item in any form, or leaves it empty.
func readValue(raw json.RawMessage) (item value) {
	if len(raw) > 0 && raw[0] == '{' {
		// A member of the wrong type is left out, the others are read.
		_ = json.Unmarshal(raw, &item)
	} else {
		_ = item.Value.UnmarshalJSON(raw)
	}
	return item
}
