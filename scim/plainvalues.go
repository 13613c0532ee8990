package scim

import (
	"strings"
	"unicode/utf8"
)

// plainValues reads a list of objects of the plainest form, as nearly every server
// sends them: members that are texts without escapes, true or false. It returns false for
// every other form, and of what is no JSON, and leaves that to encoding/json, which
// costs four times as much: a page has a list or two for each of its users.
func plainValues(raw string) (items []value, ok bool) {
	p := plainParser{rest: raw}
	if !p.take('[') {
		return nil, false
	}
	if p.take(']') {
		return nil, p.ended()
	}
	for {
		item, ok := p.object()
		if !ok {
			return nil, false
		}
		items = append(items, item)
		if p.take(']') {
			return items, p.ended()
		}
		if !p.take(',') {
			return nil, false
		}
	}
}

// plainParser reads JSON from the front. The texts that it reads are parts of it.
type plainParser struct{ rest string }

// take reads a character, after white space.
func (p *plainParser) take(c byte) bool {
	p.skipSpace()
	if len(p.rest) == 0 || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// skipSpace goes past what is white space in JSON (RFC 8259 section 2).
func (p *plainParser) skipSpace() {
	for len(p.rest) > 0 && (p.rest[0] == ' ' || p.rest[0] == '\t' || p.rest[0] == '\r' || p.rest[0] == '\n') {
		p.rest = p.rest[1:]
	}
}

func (p *plainParser) ended() bool {
	p.skipSpace()
	return len(p.rest) == 0
}

func (p *plainParser) object() (item value, ok bool) {
	if !p.take('{') {
		return item, false
	}
	if p.take('}') {
		return item, true
	}
	for {
		name, ok := p.text()
		if !ok || !p.take(':') || !p.member(name, &item) {
			return item, false
		}
		if p.take('}') {
			return item, true
		}
		if !p.take(',') {
			return item, false
		}
	}
}

// member reads the value of a member of that name.
func (p *plainParser) member(name string, item *value) bool {
	set, isText := p.text()
	if isText {
		switch name {
		case "value":
			item.Value = text(set)
		case "display":
			item.Display = text(set)
		case "type":
			item.Type = set
		default:
			return !known(name)
		}
		return true
	}
	is := flagTrue
	rest, found := strings.CutPrefix(p.rest, "true")
	if !found {
		is = flagFalse
		rest, found = strings.CutPrefix(p.rest, "false")
	}
	p.rest = rest
	if found && name == "primary" {
		item.Primary = is
		return true
	}
	return found && !known(name)
}

// known reports whether a name is that of a member of value, in whatever case: what is
// written or typed unusually is for encoding/json.
func known(name string) bool {
	for _, one := range []string{"value", "display", "type", "primary"} {
		if strings.EqualFold(name, one) {
			return true
		}
	}
	return false
}

// text reads a text without escapes.
func (p *plainParser) text() (string, bool) {
	p.skipSpace()
	if len(p.rest) == 0 || p.rest[0] != '"' {
		return "", false
	}
	end := strings.IndexByte(p.rest[1:], '"')
	if end < 0 {
		return "", false
	}
	raw := p.rest[1 : 1+end]
	for i := range len(raw) {
		if raw[i] < ' ' || raw[i] == '\\' {
			return "", false
		}
	}
	if !utf8.ValidString(raw) {
		return "", false
	}
	p.rest = p.rest[end+2:]
	return raw, true
}
