package scim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	filter "github.com/scim2/filter-parser/v2"
	"google.golang.org/grpc/codes"
)

// Attributes chooses what becomes the login, the e-mail and more of the profile
// of an account, where the attributes of the standard are not what the app uses.
//
// Each is an attribute path (RFC 7644 section 3.5.2): "externalId",
// "name.formatted", `emails[type eq "home"].value`, or an attribute of an
// extension after its URN, "urn:example:2.0:User:badge". Where a user has no such
// attribute, login and e-mail are those of a user without a choice.
type Attributes struct {
	// Login and Email may be empty.
	Login, Email string
	// Profile are paths, each as "key=path" or as a path alone, which is its own
	// key. A key that the profile has anyway is replaced.
	Profile []string
}

// choice is Attributes, parsed.
type choice struct {
	login, email *filter.Path
	profile      map[string]*filter.Path
}

// attributeValues is what a choice found in one user.
type attributeValues struct {
	login   string
	emails  []string
	profile map[string]string
}

// parseAttributes makes a choice. Its errors have the code InvalidArgument and
// name the field.
func parseAttributes(a Attributes) (choice, error) {
	var c choice
	var err error
	if c.login, err = parsePath(loginField, a.Login); err != nil {
		return choice{}, err
	}
	if c.email, err = parsePath(emailField, a.Email); err != nil {
		return choice{}, err
	}
	c.profile = map[string]*filter.Path{}
	for _, item := range a.Profile {
		key, path := splitProfile(item)
		if key == "" || path == "" {
			return choice{}, failf(codes.InvalidArgument, "%s has an item that is neither an attribute nor key=attribute.", profileField)
		}
		if c.profile[key] != nil {
			return choice{}, failf(codes.InvalidArgument, "%s has two attributes for the key %q.", profileField, key)
		}
		if c.profile[key], err = parsePath(profileField, path); err != nil {
			return choice{}, err
		}
	}
	return c, nil
}

// splitProfile parts "key=path". An equals sign within brackets belongs to the
// path.
func splitProfile(item string) (key, path string) {
	item = strings.TrimSpace(item)
	key, path, found := strings.Cut(item, "=")
	if !found || strings.ContainsAny(key, "[\"") {
		return item, item
	}
	return strings.TrimSpace(key), strings.TrimSpace(path)
}

func parsePath(field, written string) (*filter.Path, error) {
	written = strings.TrimSpace(written)
	if written == "" {
		return nil, nil
	}
	path, err := filter.ParsePath([]byte(written))
	if err != nil || !judged(path.ValueExpression) {
		return nil, failf(codes.InvalidArgument,
			`%s has %q in it, which is no attribute. It must look like userName, name.formatted or emails[type eq "home"].value.`, field, written)
	}
	names := []string{path.AttributePath.AttributeName, path.AttributePath.SubAttributeName(), path.SubAttributeName()}
	if slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, "password") }) {
		return nil, failf(codes.InvalidArgument, "%s has a password in it. No password leaves the connector.", field)
	}
	return &path, nil
}

// judged reports whether matches can judge an expression.
func judged(expression filter.Expression) bool {
	if expression == nil {
		return true
	}
	compared, ok := expression.(*filter.AttributeExpression)
	return ok && (compared.Operator == filter.EQ || compared.Operator == filter.NE) &&
		compared.AttributePath.URIPrefix == nil && compared.AttributePath.SubAttribute == nil
}

func (c *choice) none() bool { return c.login == nil && c.email == nil && len(c.profile) == 0 }

// readChosen looks for what was chosen in users, which were read from body.
// Decoding the page a second time costs more than the first, so it is done only
// if something was chosen.
func readChosen(body []byte, users []user, c choice) {
	if c.none() {
		return
	}
	var list struct {
		Resources []any `json:"Resources"`
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	// What is wrong with the list was reported when it was first decoded.
	_ = decoder.Decode(&list)
	if len(list.Resources) != len(users) {
		return
	}
	for i := range users {
		attributes, found := list.Resources[i], &users[i].chosen
		found.login = first(texts(attributes, c.login)...)
		found.emails = texts(attributes, c.email)
		found.profile = map[string]string{}
		for key, path := range c.profile {
			found.profile[key] = strings.Join(texts(attributes, path), ", ")
		}
	}
}

// texts are the values of the attribute at a path that can be shown as text.
func texts(attributes any, path *filter.Path) []string {
	if path == nil {
		return nil
	}
	at := attributes
	if urn := path.AttributePath.URI(); urn != "" {
		// The attributes of the core schema may be written with its URN too.
		if at = member(attributes, urn); at == nil && strings.EqualFold(urn, coreUser) {
			at = attributes
		}
	}
	if name := path.AttributePath.AttributeName; at != nil {
		if at = member(at, name); at == nil {
			at = nestedMember(attributes, path.AttributePath.URI(), name)
		}
	}
	var found []string
	for _, value := range each(at) {
		if !matches(value, path.ValueExpression) {
			continue
		}
		for _, name := range []string{path.AttributePath.SubAttributeName(), path.SubAttributeName()} {
			if name != "" {
				value = member(value, name)
			}
		}
		for _, item := range each(value) {
			if text := shown(item); text != "" && !slices.Contains(found, text) {
				found = append(found, text)
			}
		}
	}
	return found
}

// coreUser is the schema of users (RFC 7643 section 8.7.1).
const coreUser = "urn:ietf:params:scim:schemas:core:2.0:User"

// member is the member of an object, whatever the case of its name (RFC 7643
// section 2.1). Of several it is the same one every time.
func member(object any, name string) any {
	members, _ := object.(map[string]any)
	if value, found := members[name]; found {
		return value
	}
	var first string
	var value any
	for key, one := range members {
		if strings.EqualFold(key, name) && (first == "" || key < first) {
			first, value = key, one
		}
	}
	return value
}

// nestedMember is an attribute of the core schema that an app sends under its URN. A
// path with the URN of another schema is not about it.
func nestedMember(attributes any, urn, name string) any {
	if urn != "" && !strings.EqualFold(urn, coreUser) {
		return nil
	}
	return coreMember(attributes, name, 0)
}

// coreMember looks for the attribute under each URN of the core schema, in the forms in
// which coreObjects reads them.
func coreMember(attributes any, name string, depth int) any {
	members, _ := attributes.(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(members)) {
		resource, attribute, core := coreName(key)
		switch {
		case !core || strings.EqualFold(resource, groupResource):
		case strings.EqualFold(attribute, name):
			return members[key]
		case attribute == "":
			// What was read from JSON always marshals.
			raw, _ := json.Marshal(members[key])
			objects, _ := coreObjects(raw, depth)
			for _, object := range objects {
				nested := decodeAny(object)
				if value := member(nested, name); value != nil {
					return value
				}
				if value := coreMember(nested, name, depth+1); value != nil {
					return value
				}
			}
		}
	}
	return nil
}

// decodeAny reads JSON with its numbers as they are written.
func decodeAny(raw []byte) (decoded any) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	// What is no JSON has no members.
	_ = decoder.Decode(&decoded)
	return decoded
}

func each(value any) []any {
	if items, ok := value.([]any); ok {
		return items
	}
	return []any{value}
}

// shown is a value as text. Of an object it is its value or what it is called;
// anything else in it stays where it is.
func shown(value any) string {
	switch value := value.(type) {
	case string:
		return strings.TrimSpace(value)
	case json.Number, bool:
		return fmt.Sprint(value)
	case map[string]any:
		return first(shownScalar(member(value, "value")), shownScalar(member(value, "display")))
	}
	return ""
}

func shownScalar(value any) string {
	if _, nested := value.(map[string]any); nested {
		return ""
	}
	return shown(value)
}

// matches judges the expression in the brackets of a path.
func matches(value any, expression filter.Expression) bool {
	compared, ok := expression.(*filter.AttributeExpression)
	if !ok {
		return true
	}
	got := shown(member(value, compared.AttributePath.AttributeName))
	equal := strings.EqualFold(got, fmt.Sprint(compared.CompareValue))
	return equal == (compared.Operator == filter.EQ)
}
