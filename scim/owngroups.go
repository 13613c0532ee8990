package scim

import (
	"encoding/json"
	"slices"
	"strings"
)

// This file reads the attribute groups of users (RFC 7643 section 4.1.2): the groups that a
// user carries, which many apps send beside the members of each group.

// carriedGroups is the attribute groups of a user, as JSON: what is in it is read only where
// groups are. Of an attribute that occurs twice both count.
type carriedGroups string

// twice parts two of them. It is in no JSON.
const twice = "\x00"

// UnmarshalJSON keeps the JSON.
func (g *carriedGroups) UnmarshalJSON(raw []byte) error {
	g.add(string(raw))
	return nil
}

func (g *carriedGroups) add(raw string) {
	if raw = strings.TrimSpace(raw); raw == "null" {
		return
	}
	if *g != "" {
		raw = string(*g) + twice + raw
	}
	*g = carriedGroups(raw)
}

// items are the groups in it, each as JSON.
func (g carriedGroups) items() []string {
	var items []string
	for raw := range strings.SplitSeq(string(g), twice) {
		if strings.HasPrefix(raw, "[") {
			items = appendItems(items, raw)
		} else if raw != "" {
			items = append(items, raw)
		}
	}
	return items
}

// appendItems appends the items of a list, which is valid JSON, without reading them: the
// text of a group is the same in most of its users.
func appendItems(items []string, list string) []string {
	depth, begin, quoted := 0, 1, false
	for i := 1; i < len(list); i++ {
		switch c := list[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{', c == '[':
			depth++
		case depth > 0 && (c == '}' || c == ']'):
			depth--
		case depth == 0 && (c == ',' || c == ']'):
			if item := strings.TrimSpace(list[begin:i]); item != "" && item != "null" {
				items = append(items, item)
			}
			begin = i + 1
		}
	}
	return items
}

// via is how a user is in a group, by what the app sends.
type via byte

const (
	// viaUnknown: the app does not declare it. RFC 7643 lets groups have those that a user
	// is in through another group.
	viaUnknown via = iota
	viaDirect
	// viaOther: through a group that is a member of the group.
	viaOther
)

// vias are the words for it, in lower case.
var vias = map[string]via{
	"direct": viaDirect, "explicit": viaDirect, "assigned": viaDirect,
	"indirect": viaOther, "inherited": viaOther, "transitive": viaOther, "nested": viaOther, "implicit": viaOther,
}

// ownGroup is a group that users carry. It is named by Value, Ref, Name, or more of them.
type ownGroup struct {
	Value string `json:"value,omitempty"`
	// Ref is the id at the end of the reference.
	Ref  string `json:"ref,omitempty"`
	Name string `json:"name,omitempty"`
	Via  via    `json:"via,omitempty"`
}

// readOwnGroup reads a group that a user carries. It is not known if it names none, and is
// no group if its reference is one to something else, such as a role.
func readOwnGroup(item string) (group ownGroup, known, isGroup bool) {
	var sent struct {
		memberValue
		Display     text `json:"display"`
		DisplayName text `json:"displayName"`
		Name        text `json:"name"`
	}
	if strings.HasPrefix(item, "{") {
		// A member of the wrong type is left out, the others are read.
		_ = json.Unmarshal([]byte(item), &sent)
	} else {
		_ = sent.Value.UnmarshalJSON([]byte(item))
	}
	for _, ref := range []statement{sent.Ref, sent.PlainRef} {
		if kind, _ := sent.refersTo(ref); kind == memberUser || kind == memberOther {
			return ownGroup{}, true, false
		}
	}
	if !sent.Value.contradicts(exactly) {
		group.Value = string(sent.Value.text)
	}
	group.Ref = memberValue{Ref: sent.Ref, PlainRef: sent.PlainRef}.id()
	group.Name = first(string(sent.Display), string(sent.DisplayName), string(sent.Name))
	group.Via = vias[strings.ToLower(strings.TrimSpace(string(sent.Type.value)))]
	known = !sent.Value.contradicts(exactly) && !slices.ContainsFunc([]string{group.Value, group.Ref, group.Name}, isGarbled) &&
		strings.TrimSpace(group.Value+group.Ref+group.Name) != ""
	return group, known, true
}

// groupIndex is which groups were listed, and what they are called.
type groupIndex struct {
	ids *idSet
	// byName has the ids of the groups of a name, folded.
	byName map[string][]string
	// at and next are the page tokens of the last batch and of the one that follows, while the
	// listing goes on; whole means that all batches before are in it.
	at, next string
	whole    bool
}

func newGroupIndex(token string) *groupIndex {
	return &groupIndex{ids: newIDSet(), byName: map[string][]string{}, next: token, whole: token == ""}
}

func (x *groupIndex) add(b *batch) {
	for _, e := range b.entries {
		if x.has(e.id()) {
			continue
		}
		x.ids.add(e.id(), 1)
		if name := foldName(e.name()); name != "" {
			x.byName[name] = append(x.byName[name], strings.Clone(e.id()))
		}
	}
	x.at, x.next = x.next, b.next
}

// goesOnAt reports whether a batch at a page token follows, or comes once more.
func (x *groupIndex) goesOnAt(token string) bool {
	return x != nil && token != "" && (x.next == token || x.at == token)
}

func (x *groupIndex) has(id string) bool { return strings.TrimSpace(id) != "" && x.ids.pass(id) != 0 }

// find is which groups a group that a user carries may be: one, or several if it is not
// clear which one, or none.
//
// A value that is no id of a group may be its name: some apps send that. What is called by
// a name, and has a value beside it that is something else, may be a group that went away.
func (x *groupIndex) find(of ownGroup) []string {
	var found []string
	for _, id := range []string{of.Value, of.Ref} {
		if x.has(id) && !slices.Contains(found, id) {
			found = append(found, id)
		}
	}
	if len(found) > 0 {
		return found
	}
	value, name := foldName(of.Value), foldName(of.Name)
	switch {
	case value != "" && (name == "" || name == value || len(x.byName[name]) == 0):
		return x.byName[value]
	case value == "" && strings.TrimSpace(of.Ref) == "":
		return x.byName[name]
	}
	return nil
}

// foldName is a name in the form in which names are compared: in SCIM their case does not
// count (RFC 7643 section 4.2).
func foldName(name string) string { return strings.ToLower(strings.TrimSpace(name)) }
