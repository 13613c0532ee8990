package scim

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// memberValue is a member of a group (RFC 7643 section 4.2). Servers send objects,
// or the ids alone.
type memberValue struct {
	Value identifier `json:"value"`
	Ref   statement  `json:"$ref"`
	Type  statement  `json:"type"`

	// Some servers have other names for them.
	PlainRef     statement  `json:"ref"`
	ResourceType statement  `json:"resourceType"`
	Meta         memberMeta `json:"meta"`
}

// statement is what a member declares about itself: a text, or a list of one. What is there and
// cannot be read is unclear, and so are two different texts; null and an empty list mean
// nothing.
type statement struct {
	value   text
	unclear bool
}

// UnmarshalJSON reads all of these forms. A member that occurs twice is read twice.
func (s *statement) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '[' {
		var items []json.RawMessage
		_ = json.Unmarshal(raw, &items)
		switch len(items) {
		case 0:
			return nil
		case 1:
			raw = items[0]
		}
	}
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var read text
	_ = read.UnmarshalJSON(raw)
	switch raw[0] {
	case '[', '{', 't', 'f':
		s.unclear = true
	}
	s.unclear = s.unclear || differ(strings.ToLower(string(s.value)), strings.ToLower(string(read)))
	fillText(&s.value, read)
	return nil
}

// memberMeta is the resourceType in the attribute meta of a member.
type memberMeta struct{ statement }

// UnmarshalJSON reads an object. Anything else is unclear, but for null.
func (m *memberMeta) UnmarshalJSON(raw []byte) error {
	switch {
	case len(raw) > 0 && raw[0] == '{':
		var sent struct {
			ResourceType statement `json:"resourceType"`
		}
		_ = json.Unmarshal(raw, &sent)
		m.statement = sent.ResourceType
	case string(raw) != "null":
		m.unclear = true
	}
	return nil
}

// id is the member's id: value, or else the end of the reference; empty if there are two
// values.
func (m memberValue) id() string {
	if m.Value.contradicts(exactly) {
		return ""
	}
	if strings.TrimSpace(string(m.Value.text)) != "" {
		return string(m.Value.text)
	}
	ref := m.Ref
	if ref.value == "" {
		ref = m.PlainRef
	}
	_, id := m.refersTo(ref)
	return id
}

// memberKind is what a member is.
type memberKind byte

const (
	memberUnknown memberKind = iota // the server does not declare it
	// memberVague is any resource: what it is must be declared elsewhere.
	memberVague
	memberUser
	memberGroup
	// memberOther is neither: a device, a service, a role; or what is declared as two of
	// them.
	memberOther
)

// and is what two statements about one member come to.
func (k memberKind) and(other memberKind) memberKind {
	weak, strong := min(k, other), max(k, other)
	if weak <= memberVague || weak == strong {
		return strong
	}
	return memberOther
}

// memberKinds are the words that declare what a member is, as type or as the endpoint in a
// reference: in lower case, without hyphens, and without the s of the plural. Some use
// how one came to be a member, and not what it is.
var memberKinds = map[string]memberKind{
	"user": memberUser, "person": memberUser, "people": memberUser, "human": memberUser,
	"account": memberUser, "useraccount": memberUser, "employee": memberUser, "enterpriseuser": memberUser,
	"worker": memberUser, "staff": memberUser, "contractor": memberUser,
	"guest": memberUser, "guestuser": memberUser, "externaluser": memberUser, "internaluser": memberUser,

	"group": memberGroup, "team": memberGroup, "usergroup": memberGroup, "securitygroup": memberGroup,

	"": memberUnknown, "none": memberUnknown, "null": memberUnknown, "n/a": memberUnknown, "undefined": memberUnknown, "unknown": memberUnknown,
	"direct": memberUnknown, "indirect": memberUnknown, "inherited": memberUnknown, "transitive": memberUnknown,
	"member": memberUnknown, "owner": memberUnknown,

	"identity": memberVague, "identitie": memberVague, "principal": memberVague, "subject": memberVague,
	"object": memberVague, "directoryobject": memberVague, "resource": memberVague,

	"serviceprincipal": memberOther, "service": memberOther, "serviceaccount": memberOther, "serviceuser": memberOther,
	"device": memberOther, "machine": memberOther, "computer": memberOther, "agent": memberOther, "workload": memberOther,
	"bot": memberOther, "robot": memberOther, "client": memberOther, "app": memberOther, "application": memberOther,
	"role": memberOther, "entitlement": memberOther, "permission": memberOther, "license": memberOther, "contact": memberOther,
}

// joined leaves out what separates words. To make one takes longer than all else that is done
// about a member.
var joined = strings.NewReplacer("-", "", "_", "", " ", "")

// knownKind looks a word up in memberKinds.
func knownKind(word string) (kind memberKind, known bool) {
	word, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(word)), ";")
	word = joined.Replace(word)
	kind, known = memberKinds[strings.TrimSuffix(word, "s")]
	return kind, known
}

// kindOf is what a member is by its type. It may be the URN of a schema, or a URL.
func (s statement) kindOf() memberKind {
	if s.unclear {
		return memberOther
	}
	word := strings.TrimRight(strings.TrimSpace(string(s.value)), "/")
	if kind, known := knownKind(word); known {
		return kind
	}
	separators := ":"
	if strings.Contains(word, "://") || strings.HasPrefix(word, "#") { // #microsoft.graph.user
		separators = ":/#."
	}
	if kind, known := knownKind(word[strings.LastIndexAny(word, separators)+1:]); known {
		return kind
	}
	return memberOther
}

// kind is what the member is by what the server sends. Where it sends two things it is
// neither a user nor a group.
func (m memberValue) kind() memberKind {
	byRef, _ := m.refersTo(m.Ref)
	byPlainRef, _ := m.refersTo(m.PlainRef)
	kind := byRef.and(byPlainRef).and(m.Type.kindOf()).and(m.ResourceType.kindOf()).and(m.Meta.kindOf())
	switch {
	case kind == memberVague:
		return memberOther
	case kind == memberUnknown && m.valueIsOther():
		return memberOther
	}
	return kind
}

// valueIsOther reports whether the id is a reference to a third kind. Ids may have slashes,
// so only the words of memberKinds count.
func (m memberValue) valueIsOther() bool {
	path := segmentsOf(string(m.Value.text), true)
	if len(path) < 2 {
		return false
	}
	kind, known := knownKind(path[len(path)-2])
	return known && kind == memberOther
}

// refersTo is what the member is by a reference, and the id at its end; the id is
// empty where the reference has none.
//
// The endpoint stands before the id. It is one of memberKinds; or else it is a third kind
// if it looks like an endpoint (isEndpoint). Any other segment, such as that of a
// tenant, is no endpoint, and means as little as no reference does.
func (m memberValue) refersTo(ref statement) (kind memberKind, id string) {
	if ref.unclear {
		return memberOther, ""
	}
	value := strings.Trim(strings.ReplaceAll(strings.TrimSpace(string(m.Value.text)), `\`, "/"), "/")
	path := segmentsOf(string(ref.value), value != "")
	if len(path) == 0 {
		return memberUnknown, ""
	}
	if before, ends := cutID(path, value); ends {
		kind, _ = endpointKind(before)
		return kind, value
	}
	path = withoutKey(path)
	end := len(path) - 1
	id = path[end]
	before, endpoint := endpointKind(path[:end])
	if endpoint && before != memberUnknown {
		return before, id
	}

	// The id may be left out, and then the end is the endpoint.
	last, atEnd := knownKind(id)
	if !atEnd && isEndpoint(id, false) && !strings.ContainsFunc(id, isNoLetter) {
		last = memberOther
	}
	if value == "" {
		switch {
		case atEnd || end == 0:
			return last, ""
		case strings.HasPrefix(strings.ToLower(strings.TrimSpace(string(ref.value))), urn):
			return before, "" // a URN is no place
		}
		return before, id
	}
	if at := slices.IndexFunc(path[:end], func(segment string) bool { return strings.EqualFold(segment, value) }); at >= 0 {
		// It is of something that belongs to the member.
		owner, _ := endpointKind(path[:at])
		return owner.and(last), value
	}
	if atEnd {
		return last, value
	}
	return before.and(last), value
}

// segmentsOf parts a reference, a URL or a URN, absolute or relative, without its host.
// Some servers escape all of it. A backslash is a slash where no id may have one.
func segmentsOf(ref string, hasValue bool) []string {
	if kind, known := knownKind(ref); known && kind == memberUnknown {
		return nil
	}
	place, fragment, _ := strings.Cut(strings.TrimSpace(ref), "#")
	place, _, _ = strings.Cut(place, "?")
	for !strings.ContainsAny(place, `/\`) && unescaped(place) != place {
		place = unescaped(place)
	}
	if strings.HasPrefix(strings.ToLower(place), urn) {
		place = strings.ReplaceAll(place, ":", "/")
	}
	if hasValue || !strings.Contains(strings.Replace(place, "://", "", 1), "/") {
		place = strings.ReplaceAll(place, `\`, "/")
	}
	if _, behind, absolute := strings.Cut(place, "://"); absolute {
		_, place, _ = strings.Cut(behind, "/") // the host is no endpoint
	}
	if strings.Trim(place, "/") == "" {
		place = fragment
	}
	var path []string
	for segment := range strings.SplitSeq(place, "/") {
		if segment = strings.TrimSpace(unescaped(segment)); segment != "" {
			path = append(path, segment)
		}
	}
	return path
}

// cutID is what stands before the id, if the path ends in it. An id may have slashes, and
// they may be escaped or not.
func cutID(path []string, id string) (before []string, ends bool) {
	if id == "" {
		return nil, false
	}
	for _, length := range []int{1, strings.Count(id, "/") + 1} {
		at := len(path) - length
		if at >= 0 && strings.EqualFold(strings.ReplaceAll(strings.Join(path[at:], "/"), `\`, "/"), id) {
			return path[:at], true
		}
	}
	return nil, false
}

// withoutKey parts the end of a path in the form of OData: Users('u3').
func withoutKey(path []string) []string {
	end := len(path) - 1
	name, key, found := strings.Cut(path[end], "(")
	if _, endpoint := endpointKind(path[:end]); endpoint || !found || !strings.HasSuffix(key, ")") || name == "" || strings.ContainsFunc(name, isNoLetter) {
		return path
	}
	key = strings.TrimSuffix(key, ")")
	key = strings.Trim(key[strings.IndexByte(key, '=')+1:], `'" `)
	return append(slices.Clone(path[:end]), name, key)
}

// endpointKind is what the end of a path names, if it is an endpoint; known reports that it is
// one of memberKinds.
func endpointKind(path []string) (kind memberKind, known bool) {
	end := len(path) - 1
	if end < 0 || isRoot(path[end]) {
		return memberUnknown, false
	}
	if kind, known = knownKind(path[end]); known {
		return kind, true
	}
	if isEndpoint(path[end], end > 0 && isVersion(path[end-1])) {
		return memberOther, false
	}
	return memberUnknown, false
}

// isEndpoint reports whether a segment looks like an endpoint: it begins with a capital
// letter, or it is a word in the plural, or any word after the version of the protocol.
func isEndpoint(segment string, afterVersion bool) bool {
	const (
		uuidLength, uuidHyphens = 36, 4
		shortestPlural          = len("apps")
	)
	if len(segment) == uuidLength && strings.Count(segment, "-") == uuidHyphens {
		return false // of a tenant
	}
	if first, _ := utf8.DecodeRuneInString(segment); unicode.IsUpper(first) {
		return true
	}
	if strings.ContainsFunc(joined.Replace(segment), isNoLetter) {
		return false
	}
	lower := strings.ToLower(segment)
	return afterVersion || len(lower) >= shortestPlural && strings.HasSuffix(lower, "s") && !strings.HasSuffix(lower, "ss")
}

func isNoLetter(r rune) bool { return !unicode.IsLetter(r) }

// unescaped is text without the escapes of URLs, or as it is if they are none.
func unescaped(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}

// isRoot reports whether a segment of a URL stands before the endpoints, and is none.
func isRoot(segment string) bool {
	switch strings.ToLower(segment) {
	case ".", "..", "scim", "scim2", "api", "rest":
		return true
	}
	return isVersion(segment)
}

// isVersion reports whether a segment is a version: v2, v1.0, v1beta1.
func isVersion(segment string) bool {
	digits, v := strings.CutPrefix(strings.ToLower(segment), "v")
	if !v || digits == "" || !unicode.IsDigit(rune(digits[0])) {
		return false
	}
	switch strings.Trim(digits, "0123456789.") {
	case "", "alpha", "beta", "preview":
		return true
	}
	return false
}
