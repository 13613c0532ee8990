package scim

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// plainUsers reads a list response of users in the form in which nearly every server
// sends it, in one pass and without reflection: every member that is read occurs once, by
// the name of the standard and with the type of the standard, and no extension has
// roles to look for. It says false of every other form, and of what is no JSON, and leaves
// that to encoding/json, which comes to the same in three times the time.
func plainUsers(body []byte) (head listHead, users []user, plain bool) {
	r := plainReader{page: string(body), decoder: jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true))}
	r.object(listMembers, func(name string) {
		switch name {
		case "schemas":
			r.values(&head.Schemas)
		case "totalResults":
			r.read(&head.TotalResults)
		case "startIndex":
			r.read(&head.StartIndex)
		case "nextCursor":
			r.text(&head.NextCursor)
		case "Resources":
			head.listed = true
			users = r.users()
		}
	})
	return head, users, r.ended()
}

// urn begins the names of extensions.
const urn = "urn:"

// What is read of each object, as the json tags of its type have it. What occurs most
// comes first.
var (
	listMembers = []string{"Resources", "schemas", "totalResults", "startIndex", "nextCursor"}
	userMembers = []string{
		"id", "userName", "name", "displayName", "active", "emails", "meta", "externalId", "title", "userType",
		"roles", "locale", "timezone", "nickName", knownExtension,
	}
	nameMembers      = []string{"givenName", "familyName", "formatted"}
	metaMembers      = []string{"resourceType", "created"}
	workplaceMembers = []string{"employeeNumber", "costCenter", "organization", "division", "department", "manager"}
)

func (r *plainReader) users() []user {
	if !r.begins('[') {
		return nil
	}
	users := make([]user, 0, pageSize)
	for r.goesOnTo(']') {
		users = append(users, user{})
		r.user(&users[len(users)-1])
	}
	return users
}

func (r *plainReader) user(u *user) {
	r.object(userMembers, func(name string) {
		switch name {
		case "id":
			r.text(&u.ID)
		case "externalId":
			r.text(&u.ExternalID)
		case "userName":
			r.text(&u.UserName)
		case "displayName":
			r.string(&u.DisplayName)
		case "nickName":
			r.string(&u.NickName)
		case "name":
			r.personName(&u.Name)
		case "active":
			r.read(&u.Active)
		case "emails":
			r.values(&u.Emails)
		case "title":
			r.string(&u.Title)
		case "userType":
			r.string(&u.UserType)
		case "locale":
			r.string(&u.Locale)
		case "timezone":
			r.string(&u.TimeZone)
		case "roles":
			r.values(&u.Roles)
		case "meta":
			r.meta(&u.Meta)
		case knownExtension:
			r.workplace(&u.Enterprise)
		}
	})
}

func (r *plainReader) personName(n *personName) {
	if r.isNull() {
		return
	}
	r.object(nameMembers, func(name string) {
		switch name {
		case "formatted":
			r.string(&n.Formatted)
		case "givenName":
			r.string(&n.GivenName)
		case "familyName":
			r.string(&n.FamilyName)
		}
	})
}

func (r *plainReader) meta(m *meta) {
	if r.isNull() {
		return
	}
	r.object(metaMembers, func(name string) {
		switch name {
		case "resourceType":
			r.string(&m.ResourceType)
		case "created":
			r.read(&m.Created)
		}
	})
}

func (r *plainReader) workplace(w *workplace) {
	if r.isNull() {
		return
	}
	r.object(workplaceMembers, func(name string) {
		switch name {
		case "employeeNumber":
			r.text(&w.EmployeeNumber)
		case "costCenter":
			r.text(&w.CostCenter)
		case "organization":
			r.text(&w.Organization)
		case "division":
			r.text(&w.Division)
		case "department":
			r.text(&w.Department)
		case "manager":
			r.read(&w.Manager)
		}
	})
}

// plainReader reads JSON until it meets something odd: what is no JSON, or nothing that
// plainUsers is for. From then on it reads nothing.
type plainReader struct {
	// page is all of it. What is read are parts of it, so that no text is copied; the
	// page lives as long as one of its users.
	page    string
	decoder *jsontext.Decoder
	odd     bool
}

// object reads an object: of the members in names each, and none of the others.
func (r *plainReader) object(names []string, member func(name string)) {
	if !r.begins('{') {
		return
	}
	seen := uint32(0)
	for r.goesOnTo('}') {
		at := r.name(names)
		switch {
		case r.odd:
		case at < 0:
			r.check(r.decoder.SkipValue())
		case seen>>at&1 == 1:
			r.odd = true
		default:
			seen |= 1 << at
			member(names[at])
		}
	}
}

// name reads the name of a member and says which of names it is, or -1.
func (r *plainReader) name(names []string) int {
	quoted := r.value()
	if len(quoted) < 2 {
		r.odd = true
		return -1
	}
	written := quoted[1 : len(quoted)-1]
	for i, name := range names {
		if string(written) == name {
			return i
		}
	}
	for _, c := range written {
		// Escapes, and letters that are another case of ASCII ones.
		r.odd = r.odd || c == '\\' || c >= utf8.RuneSelf
	}
	for _, name := range names {
		r.odd = r.odd || len(name) == len(written) && strings.EqualFold(name, string(written))
	}
	// An extension that is not read here may have roles, or be that of SCIM 1.1.
	r.odd = r.odd || len(written) > len(urn) && strings.EqualFold(string(written[:len(urn)]), urn)
	return -1
}

// read has a type read a value in whatever form it knows.
func (r *plainReader) read(into json.Unmarshaler) {
	if raw := r.value(); !r.odd {
		r.check(into.UnmarshalJSON(raw))
	}
}

// text reads a text, and what text takes for one.
func (r *plainReader) text(into *text) {
	raw := r.value()
	if r.odd {
		return
	}
	if written, simple := r.simple(raw); simple {
		*into = text(written)
		return
	}
	r.check(into.UnmarshalJSON(raw))
}

// string reads a text and nothing else. Null leaves it as it is.
func (r *plainReader) string(into *string) {
	if r.isNull() {
		return
	}
	raw := r.value()
	if r.odd || raw[0] != '"' {
		r.odd = true
		return
	}
	written, simple := r.simple(raw)
	if !simple {
		unquoted, err := jsontext.AppendUnquote(nil, raw)
		r.check(err)
		written = string(unquoted)
	}
	*into = written
}

// values reads an attribute of several values.
func (r *plainReader) values(into *values) {
	raw := r.value()
	if r.odd {
		return
	}
	if items, plain := plainValues(r.part(raw)); plain {
		*into = nil
		into.add(items...)
		return
	}
	r.check(into.UnmarshalJSON(raw))
}

// simple is what a text says that needs no unescaping: it was found to be UTF-8.
func (r *plainReader) simple(raw jsontext.Value) (string, bool) {
	if raw[0] != '"' || bytes.IndexByte(raw, '\\') >= 0 {
		return "", false
	}
	part := r.part(raw)
	return part[1 : len(part)-1], true
}

// part is the value that was read last, in the page.
func (r *plainReader) part(raw jsontext.Value) string {
	end := int(r.decoder.InputOffset())
	return r.page[end-len(raw) : end]
}

// isNull says whether the value is null, and then goes past it.
func (r *plainReader) isNull() bool {
	if r.odd || r.decoder.PeekKind() != 'n' {
		return false
	}
	r.check(r.decoder.SkipValue())
	return true
}

func (r *plainReader) value() jsontext.Value {
	if r.odd {
		return nil
	}
	raw, err := r.decoder.ReadValue()
	r.check(err)
	return raw
}

// begins goes into an object or a list.
func (r *plainReader) begins(kind jsontext.Kind) bool {
	if r.odd || r.decoder.PeekKind() != kind {
		r.odd = true
		return false
	}
	_, err := r.decoder.ReadToken()
	r.check(err)
	return !r.odd
}

// goesOnTo says whether there is more in an object or a list before its end, and
// goes past that.
func (r *plainReader) goesOnTo(end jsontext.Kind) bool {
	if r.odd {
		return false
	}
	if r.decoder.PeekKind() != end {
		return true
	}
	_, err := r.decoder.ReadToken()
	r.check(err)
	return false
}

// ended says that there is nothing more, and that nothing was odd.
func (r *plainReader) ended() bool {
	if r.odd {
		return false
	}
	_, err := r.decoder.ReadToken()
	return errors.Is(err, io.EOF)
}

func (r *plainReader) check(err error) { r.odd = r.odd || err != nil }
