package scim

import (
	"time"

	elimity "github.com/elimity-com/scim"
	"github.com/elimity-com/scim/optional"
	"github.com/elimity-com/scim/schema"
)

// enterpriseURN is kept: the schema is made with all of its attributes each time, which took
// a twentieth of what tests of the host need.
var enterpriseURN = schema.ExtensionEnterpriseUser().ID

// resource is an account as the library puts it on the wire.
func resource(account Account) elimity.Resource {
	attributes := elimity.ResourceAttributes{}
	put(attributes, "userName", account.UserName)
	put(attributes, "displayName", account.DisplayName)
	put(attributes, "title", account.Title)
	if !account.OmitActive {
		attributes["active"] = account.Active
	}

	name := map[string]any{}
	put(name, "givenName", account.GivenName)
	put(name, "familyName", account.FamilyName)
	if len(name) > 0 {
		attributes["name"] = name
	}

	enterprise := map[string]any{}
	put(enterprise, "department", account.Department)
	put(enterprise, "employeeNumber", account.EmployeeNumber)
	if len(enterprise) > 0 {
		attributes[enterpriseURN] = enterprise
	}

	if emails := emails(account.Emails); len(emails) > 0 {
		attributes["emails"] = emails
	}
	if roles := roles(account.Roles); len(roles) > 0 {
		attributes["roles"] = roles
	}

	described := elimity.Resource{
		ID:         account.ID,
		Attributes: attributes,
		Meta:       elimity.Meta{Created: optionalTime(account.Created), LastModified: optionalTime(account.LastModified)},
	}
	if account.ExternalID != "" {
		described.ExternalID = optional.NewString(account.ExternalID)
	}
	return described
}

// emails puts the primary address last, so that a reader that takes the first
// one for it is found out.
func emails(addresses []string) []any {
	var listed []any
	for i := len(addresses) - 1; i > 0; i-- {
		listed = append(listed, map[string]any{"value": addresses[i], "type": "home"})
	}
	if len(addresses) > 0 {
		listed = append(listed, map[string]any{"value": addresses[0], "type": "work", "primary": true})
	}
	return listed
}

func roles(names []string) []any {
	var listed []any
	for i, name := range names {
		listed = append(listed, map[string]any{"value": name, "primary": i == 0})
	}
	return listed
}

// put leaves out what is empty: the app does not know it.
func put(attributes map[string]any, name, value string) {
	if value != "" {
		attributes[name] = value
	}
}

// optionalTime is a time for the library, which takes nil for one that is not known.
func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
