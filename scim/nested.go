package scim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Some apps send the attributes of the core schema under its URN, as those of an
// extension: {"id":"7","urn:ietf:params:scim:schemas:core:2.0:User":{"userName":"ann"}},
// or each by its full name: {"urn:ietf:params:scim:schemas:core:2.0:User:userName":"ann"}
// (RFC 7644 section 3.10 has that form for paths). They are read as if they were where
// the standard has them. Where an attribute is in both places, the standard's counts;
// but what a user is called must be the same in both, and both must say that it is
// active.

// coreSchemas begin the URNs of the core schema, in SCIM 2.0 and in SCIM 1.1 and drafts.
var coreSchemas = []string{"urn:ietf:params:scim:schemas:core:", "urn:scim:schemas:core:"}

// coreName says whether the name of a member is the URN of the core schema, or begins
// with it; attribute is what follows, "" if nothing does.
func coreName(name string) (attribute string, is bool) {
	for _, schema := range coreSchemas {
		if len(name) < len(schema) || !strings.EqualFold(name[:len(schema)], schema) {
			continue
		}
		_, attribute, _ := strings.Cut(name[len(schema):], ":") // behind the version
		resource, rest, _ := strings.Cut(attribute, ":")
		if strings.EqualFold(resource, "User") || strings.EqualFold(resource, "Group") {
			attribute = rest
		}
		return attribute, true
	}
	return "", false
}

// readNested fills resources, which were read from a list response, with the attributes
// that it has under the URN of the core schema. Going through the page a second time is
// done only if there may be any.
func readNested[T any](body []byte, resources []T, fill func(resource, nested *T)) {
	if !mayHaveCoreNames(body) {
		return
	}
	var list struct {
		Resources []json.RawMessage `json:"Resources"`
	}
	// What is wrong with the list was said when it was first decoded.
	_ = json.Unmarshal(body, &list)
	if len(list.Resources) != len(resources) {
		return
	}
	for i, raw := range list.Resources {
		fillNested(raw, &resources[i], fill)
	}
}

// fillNested fills a resource, which was read from an object, with the attributes that
// the object has under the URN of the core schema.
func fillNested[T any](object []byte, resource *T, fill func(resource, nested *T)) {
	if !mayHaveCoreNames(object) {
		return
	}
	eachNested(object, func(core []byte) {
		var nested T
		// A member of the wrong type is left out, the others are read.
		_ = json.Unmarshal(core, &nested)
		fill(resource, &nested)
	})
}

// mayHaveCoreNames says whether names of members may be of the core schema; those that
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

// eachNested calls read with each object that holds attributes of the core schema within
// an object, apart from that object itself.
func eachNested(object []byte, read func(core []byte)) {
	// What is no JSON was refused when it was first decoded.
	decoder := jsontext.NewDecoder(bytes.NewReader(object), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if decoder.PeekKind() != '{' {
		return
	}
	_, _ = decoder.ReadToken()
	for decoder.PeekKind() == '"' {
		name, err := decoder.ReadToken()
		if err != nil {
			return
		}
		attribute, core := coreName(name.String())
		value, err := decoder.ReadValue()
		switch {
		case err != nil:
			return
		case !core:
		case attribute == "":
			read(value)
		default:
			names := strings.Split(attribute, ".") // name.givenName
			nested := string(value)
			for _, name := range slices.Backward(names) {
				// A text always marshals.
				quoted, _ := json.Marshal(name)
				nested = fmt.Sprintf("{%s:%s}", quoted, nested)
			}
			read([]byte(nested))
		}
	}
}

// fill takes from another place what the user lacks.
func (u *user) fill(nested *user) {
	if differ(u.ID, nested.ID) {
		u.dispute = "id"
	}
	// userName is the same in any case (RFC 7643 section 4.1.1).
	if differ(strings.ToLower(string(u.UserName)), strings.ToLower(string(nested.UserName))) {
		u.dispute = "userName"
	}
	for _, one := range []struct{ have, from *text }{
		{&u.ID, &nested.ID},
		{&u.ExternalID, &nested.ExternalID},
		{&u.UserName, &nested.UserName},
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
	if len(u.Emails) == 0 {
		u.Emails = nested.Emails
	}
	if len(u.Roles) == 0 {
		u.Roles = nested.Roles
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

// fill takes from another place what the group lacks.
func (g *group) fill(nested *group) {
	if differ(g.ID, nested.ID) {
		g.dispute = "id"
	}
	fillText(&g.ID, nested.ID)
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

// differ says whether two values of one attribute that names somebody contradict each
// other.
func differ[T ~string](one, other T) bool {
	a, b := strings.TrimSpace(string(one)), strings.TrimSpace(string(other))
	return a != "" && b != "" && a != b
}
