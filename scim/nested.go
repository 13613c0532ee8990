package scim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
)

// Some apps send the attributes of the core schema under its URN, as those of an
// extension: {"id":"7","urn:ietf:params:scim:schemas:core:2.0:User":{"userName":"ann"}},
// or each by its full name: {"urn:ietf:params:scim:schemas:core:2.0:User:userName":"ann"}
// (RFC 7644 section 3.10 has that form for paths). They are read as if they were where
// the standard has them. Where an attribute is in both places, the standard's counts;
// but what a user is called must be the same in both, and both must agree that it is
// active.

// coreSchemas begin the URNs of the core schema, in SCIM 2.0 and in SCIM 1.1 and drafts.
var coreSchemas = []string{"urn:ietf:params:scim:schemas:core:", "urn:scim:schemas:core:"}

// The resources of the core schema.
const (
	userResource  = "User"
	groupResource = "Group"
)

// coreName reports whether the name of a member is the URN of the core schema, or begins
// with it. resource is the one that the URN names, in lower case, and "" if it names
// neither users nor groups, as in SCIM 1.1; attribute is what follows, "" if nothing does.
// What stands between them is a colon by the standard, and some have another character.
func coreName(name string) (resource, attribute string, is bool) {
	for _, schema := range coreSchemas {
		if len(name) < len(schema) || !strings.EqualFold(name[:len(schema)], schema) {
			continue
		}
		rest := strings.TrimLeft(name[len(schema):], "0123456789.") // the version
		rest = strings.TrimFunc(rest, isSeparator)
		for _, one := range []string{userResource, groupResource} {
			if len(rest) < len(one) || !strings.EqualFold(rest[:len(one)], one) {
				continue
			}
			if attribute := strings.TrimLeftFunc(rest[len(one):], isSeparator); attribute == "" || len(attribute) < len(rest)-len(one) {
				return strings.ToLower(one), attribute, true
			}
		}
		return "", rest, true
	}
	return "", "", false
}

// isSeparator reports whether a character is in no name of an attribute.
func isSeparator(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '$' && r != '_' && r != '-'
}

// nestable is a resource that may have its attributes under the URN of the core schema.
type nestable[T any] interface {
	*T
	// coreResource is what the core schema calls the resource.
	coreResource() string
	// fill takes from another place what the resource lacks; own means that the place is
	// the one for such resources.
	fill(nested *T, own bool)
	// cannotRead means that the resource has a member of that name that may hold its
	// attributes, in a form that cannot be read.
	cannotRead(name string)
}

// readNested fills resources, which were read from a list response, with the attributes
// that it has under the URN of the core schema. Going through the page a second time is
// done only if there may be any.
func readNested[T any, P nestable[T]](body []byte, resources []T) {
	if !mayHaveCoreNames(body) {
		return
	}
	var list struct {
		Resources []json.RawMessage `json:"Resources"`
	}
	// What is wrong with the list was reported when it was first decoded.
	_ = json.Unmarshal(body, &list)
	if len(list.Resources) != len(resources) {
		return
	}
	for i, raw := range list.Resources {
		fillNested[T, P](raw, &resources[i])
	}
}

// fillNested fills a resource, which was read from an object, with the attributes that
// the object has under the URN of the core schema.
func fillNested[T any, P nestable[T]](object []byte, into P) {
	if mayHaveCoreNames(object) {
		eachNested[T](object, into, 0)
	}
}

// mayHaveCoreNames reports whether names of members may be of the core schema; those that
// are written with escapes may be anything.
func mayHaveCoreNames(body []byte) bool {
	if bytes.Contains(body, []byte(`\u`)) {
		return true
	}
	for rest := bytes.ToLower(body); ; {
		_, after, found := bytes.Cut(rest, []byte(":schemas:core:"))
		if !found {
			return false
		}
		if _, rest, found = bytes.Cut(after, []byte{'"'}); !found {
			return false
		}
		// Nearly every user has the URN as a value, in schemas.
		if bytes.HasPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte{':'}) {
			return true
		}
	}
}

// maxNested bounds how deep attributes of the core schema may be nested in each other.
const maxNested = 8

// eachNested fills a resource with each object that holds attributes of the core schema
// within an object, apart from that object itself.
func eachNested[T any, P nestable[T]](object []byte, into P, depth int) {
	// What is no JSON was refused when it was first decoded.
	decoder := jsontext.NewDecoder(bytes.NewReader(object), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if decoder.PeekKind() != '{' {
		return
	}
	_, _ = decoder.ReadToken()
	for decoder.PeekKind() == '"' {
		token, err := decoder.ReadToken()
		if err != nil {
			return
		}
		name := token.String()
		value, err := decoder.ReadValue()
		if err != nil {
			return
		}
		resource, attribute, core := coreName(name)
		if !core {
			continue
		}
		own := resource == "" || strings.EqualFold(resource, into.coreResource())
		if attribute != "" {
			nested := string(value)
			for _, name := range slices.Backward(strings.FieldsFunc(attribute, isSeparator)) { // name.givenName
				// A text always marshals.
				quoted, _ := json.Marshal(name)
				nested = fmt.Sprintf("{%s:%s}", quoted, nested)
			}
			fillFrom[T](into, []byte(nested), own)
			continue
		}
		objects, readable := coreObjects(value, depth)
		if !readable && own {
			into.cannotRead(name)
		}
		for _, object := range objects {
			fillFrom[T](into, object, own)
			if own {
				eachNested[T](object, into, depth+1)
			}
		}
	}
}

func fillFrom[T any, P nestable[T]](into P, object []byte, own bool) {
	var nested T
	// A member of the wrong type is left out, the others are read.
	_ = json.Unmarshal(object, &nested)
	into.fill(&nested, own)
}

// coreObjects are the objects under the URN of the core schema: one, or those in a list,
// or in a text that is JSON. It is not readable if there may be others.
func coreObjects(value []byte, depth int) (objects [][]byte, readable bool) {
	value = bytes.TrimSpace(value)
	if depth > maxNested || len(value) == 0 {
		return nil, false
	}
	switch value[0] {
	case 'n': // null
		return nil, true
	case '{':
		return [][]byte{value}, true
	case '[':
		var items []json.RawMessage
		readable = json.Unmarshal(value, &items) == nil
		for _, item := range items {
			more, well := coreObjects(item, depth+1)
			objects, readable = append(objects, more...), readable && well
		}
		return objects, readable
	case '"':
		var written string
		if json.Unmarshal(value, &written) != nil {
			return nil, false
		}
		if written = strings.TrimSpace(written); written == "" {
			return nil, true
		}
		if _, half := halfPair([]byte(written)); half || !json.Valid([]byte(written)) {
			return nil, false
		}
		return coreObjects([]byte(written), depth+1)
	}
	return nil, false
}

// unreadable reports that a resource has a member of that name which cannot be read.
func unreadable(name string) string {
	return "has the attribute " + name + " in a form that cannot be read"
}

func (*user) coreResource() string { return userResource }

func (u *user) cannotRead(name string) {
	u.unread = name
	u.Active = u.Active.and(flagUnclear)
}

// fill takes from another place what the user lacks.
func (u *user) fill(nested *user, own bool) {
	if !own {
		return
	}
	if differ(u.ID.text, nested.ID.text) || nested.ID.contradicts(exactly) {
		u.dispute = "id"
	}
	// userName is the same in any case (RFC 7643 section 4.1.1).
	if differ(strings.ToLower(string(u.UserName.text)), strings.ToLower(string(nested.UserName.text))) ||
		nested.UserName.contradicts(strings.ToLower) {
		u.dispute = "userName"
	}
	for _, one := range []struct{ have, from *text }{
		{&u.ID.text, &nested.ID.text},
		{&u.ExternalID, &nested.ExternalID},
		{&u.UserName.text, &nested.UserName.text},
	} {
		fillText(one.have, *one.from)
	}
	for _, one := range []struct{ have, from *string }{
		{&u.DisplayName, &nested.DisplayName},
		{&u.NickName, &nested.NickName},
		{&u.Name.Formatted, &nested.Name.Formatted},
		{&u.Name.GivenName, &nested.Name.GivenName},
		{&u.Name.FamilyName, &nested.Name.FamilyName},
		{&u.Title, &nested.Title},
		{&u.UserType, &nested.UserType},
		{&u.Locale, &nested.Locale},
		{&u.TimeZone, &nested.TimeZone},
	} {
		fillText(one.have, *one.from)
	}
	u.Active = u.Active.and(nested.Active)
	for _, one := range []struct{ have, from *values }{{&u.Emails, &nested.Emails}, {&u.Roles, &nested.Roles}} {
		if !one.have.read() {
			*one.have = append(*one.have, *one.from...)
		}
	}
	if len(u.Groups.items()) == 0 {
		fillText(&u.Groups, nested.Groups)
	}
	u.Meta.fill(nested.Meta)
	if u.Enterprise == (workplace{}) {
		u.Enterprise = nested.Enterprise
	}
	if u.EnterpriseV1 == (workplace{}) {
		u.EnterpriseV1 = nested.EnterpriseV1
	}
}

func (m *meta) fill(nested meta) {
	fillText(&m.ResourceType, nested.ResourceType)
	if m.Created.IsZero() {
		m.Created = nested.Created
	}
}

func (*group) coreResource() string { return groupResource }

func (g *group) cannotRead(name string) { g.unread = name }

// fill takes from another place what the group lacks. What has the attributes of a user
// is one (see foreign).
func (g *group) fill(nested *group, own bool) {
	if !own {
		fillText(&g.UserName, nested.UserName)
		return
	}
	if differ(g.ID.text, nested.ID.text) || nested.ID.contradicts(exactly) {
		g.dispute = "id"
	}
	fillText(&g.ID.text, nested.ID.text)
	fillText(&g.ExternalID, nested.ExternalID)
	fillText(&g.DisplayName, nested.DisplayName)
	fillText(&g.UserName, nested.UserName)
	g.Meta.fill(nested.Meta)
}

func fillText[T ~string](have *T, from T) {
	if strings.TrimSpace(string(*have)) == "" {
		*have = from
	}
}

// differ reports whether two values of one attribute that names a person contradict each
// other.
func differ[T ~string](one, other T) bool {
	a, b := strings.TrimSpace(string(one)), strings.TrimSpace(string(other))
	return a != "" && b != "" && a != b
}
