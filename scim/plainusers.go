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
// roles to look for. It returns false for every other form, and of what is no JSON, and leaves
// that to encoding/json, which comes to the same in three times the time.
func plainUsers(body []byte) (head listHead, users []user, plain bool) {
	r := plainReader{page: string(body), decoder: jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true))}
	var list plainList
	readObject(&r, listMembers, &list)
	return list.listHead, list.users, r.ended()
}

// plainList is a list response.
type plainList struct {
	listHead
	users []user
}

// plainMember is a member of an object that is read into a T.
type plainMember[T any] struct {
	name string
	read func(r *plainReader, into *T)
}

// urn begins the names of extensions.
const urn = "urn:"

// What is read of each object, as the json tags of its type have it. What occurs most
// comes first.
var (
	listMembers = []plainMember[plainList]{
		{"Resources", func(r *plainReader, l *plainList) { l.listed, l.users = true, r.users() }},
		{"schemas", func(r *plainReader, l *plainList) { r.values(&l.Schemas) }},
		{"totalResults", func(r *plainReader, l *plainList) { r.read(&l.TotalResults) }},
		{"startIndex", func(r *plainReader, l *plainList) { r.read(&l.StartIndex) }},
		{"nextCursor", func(r *plainReader, l *plainList) { r.text(&l.NextCursor) }},
	}
	userMembers = []plainMember[user]{
		{"id", func(r *plainReader, u *user) { r.text(&u.ID.text) }},
		{"userName", func(r *plainReader, u *user) { r.text(&u.UserName.text) }},
		{"name", func(r *plainReader, u *user) { readObjectOrNull(r, nameMembers, &u.Name) }},
		{"displayName", func(r *plainReader, u *user) { r.string(&u.DisplayName) }},
		{"active", func(r *plainReader, u *user) { r.read(&u.Active) }},
		{"emails", func(r *plainReader, u *user) { r.values(&u.Emails) }},
		{"meta", func(r *plainReader, u *user) { readObjectOrNull(r, metaMembers, &u.Meta) }},
		{"externalId", func(r *plainReader, u *user) { r.text(&u.ExternalID) }},
		{"title", func(r *plainReader, u *user) { r.string(&u.Title) }},
		{"userType", func(r *plainReader, u *user) { r.string(&u.UserType) }},
		{"roles", func(r *plainReader, u *user) { r.values(&u.Roles) }},
		{"groups", func(r *plainReader, u *user) { u.Groups.add(r.part(r.value())) }},
		{"locale", func(r *plainReader, u *user) { r.string(&u.Locale) }},
		{"timezone", func(r *plainReader, u *user) { r.string(&u.TimeZone) }},
		{"nickName", func(r *plainReader, u *user) { r.string(&u.NickName) }},
		{knownExtension, func(r *plainReader, u *user) { readObjectOrNull(r, workplaceMembers, &u.Enterprise) }},
	}
	nameMembers = []plainMember[personName]{
		{"givenName", func(r *plainReader, n *personName) { r.string(&n.GivenName) }},
		{"familyName", func(r *plainReader, n *personName) { r.string(&n.FamilyName) }},
		{"formatted", func(r *plainReader, n *personName) { r.string(&n.Formatted) }},
	}
	metaMembers = []plainMember[meta]{
		{"resourceType", func(r *plainReader, m *meta) { r.string(&m.ResourceType) }},
		{"created", func(r *plainReader, m *meta) { r.read(&m.Created) }},
	}
	workplaceMembers = []plainMember[workplace]{
		{"employeeNumber", func(r *plainReader, w *workplace) { r.text(&w.EmployeeNumber) }},
		{"costCenter", func(r *plainReader, w *workplace) { r.text(&w.CostCenter) }},
		{"organization", func(r *plainReader, w *workplace) { r.text(&w.Organization) }},
		{"division", func(r *plainReader, w *workplace) { r.text(&w.Division) }},
		{"department", func(r *plainReader, w *workplace) { r.text(&w.Department) }},
		{"manager", func(r *plainReader, w *workplace) { r.read(&w.Manager) }},
	}
)

func (r *plainReader) users() []user {
	if !r.begins('[') {
		return nil
	}
	users := make([]user, 0, pageSize)
	for r.goesOnTo(']') {
		users = append(users, user{})
		readObject(r, userMembers, &users[len(users)-1])
	}
	return users
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

// readObject reads an object: its members that are among members, and none of the others.
func readObject[T any](r *plainReader, members []plainMember[T], into *T) {
	if !r.begins('{') {
		return
	}
	seen := uint32(0)
	for r.goesOnTo('}') {
		at := nextMember(r, members)
		switch {
		case r.odd:
		case at < 0:
			r.check(r.decoder.SkipValue())
		case seen>>at&1 == 1:
			r.odd = true
		default:
			seen |= 1 << at
			members[at].read(r, into)
		}
	}
}

// readObjectOrNull is readObject for what may be null, and then stays as it is.
func readObjectOrNull[T any](r *plainReader, members []plainMember[T], into *T) {
	if !r.isNull() {
		readObject(r, members, into)
	}
}

// nextMember reads the name of a member and returns which of members it is, or -1.
func nextMember[T any](r *plainReader, members []plainMember[T]) int {
	quoted := r.value()
	if len(quoted) < 2 {
		r.odd = true
		return -1
	}
	written := quoted[1 : len(quoted)-1]
	for i := range members {
		if string(written) == members[i].name {
			return i
		}
	}
	for _, c := range written {
		// Escapes, and letters that are another case of ASCII ones.
		r.odd = r.odd || c == '\\' || c >= utf8.RuneSelf
	}
	for i := range members {
		name := members[i].name
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
	if !into.readPlain(r.part(raw)) {
		into.readOdd(raw)
	}
}

// simple is the value of a text that needs no unescaping: it was found to be UTF-8.
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

// isNull reports whether the value is null, and then goes past it.
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

// goesOnTo reports whether there is more in an object or a list before its end, and
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

// ended reports whether there is nothing more, and that nothing was odd.
func (r *plainReader) ended() bool {
	if r.odd {
		return false
	}
	_, err := r.decoder.ReadToken()
	return errors.Is(err, io.EOF)
}

func (r *plainReader) check(err error) { r.odd = r.odd || err != nil }
