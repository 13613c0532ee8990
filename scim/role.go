package scim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"google.golang.org/protobuf/types/known/anypb"
)

// assignedSlug is the entitlement to have a role.
const assignedSlug = "assigned"

// roleType is the resource type of roles. Every role has the one entitlement to have it,
// so none is asked for by role; and the grants of all roles are one listing, in which
// those of one user come together (see roleSyncer).
func roleType() *v2.ResourceType {
	return v2.ResourceType_builder{
		Id:          "role",
		DisplayName: "Role",
		Traits:      []v2.ResourceType_Trait{v2.ResourceType_TRAIT_ROLE},
		Annotations: annotations.New(&v2.SkipEntitlements{}, &v2.TypeScopedGrants{}),
	}.Build()
}

// role is a role that a user has (RFC 7643 section 4.1.2). There is no list of roles in
// SCIM: a role is what some user has.
type role struct {
	// id is the value of the role as it is written, without white space around it. Two
	// roles whose values differ in case only are two: which way of writing it is the
	// right one is not known, and a name that changed with the order of the users would
	// be a new role in each sync. What differs in type only is one role.
	id string
	// name is what it is called, for people.
	name string
}

// role is the role that an item of the attribute roles names; it has no id if the item
// names none.
//
// Microsoft Entra sends, as the value of a role, a text that is JSON:
// "{\"id\":\"18d1\",\"value\":\"admin\",\"displayName\":\"Admin\"}". Apps keep it as it is.
func (v value) role() role {
	id, name := first(string(v.Value)), first(string(v.Display))
	if strings.HasPrefix(id, "{") {
		var written struct {
			ID          text `json:"id"`
			Value       text `json:"value"`
			DisplayName text `json:"displayName"`
			Display     text `json:"display"`
		}
		// What is no JSON is a value like any other.
		if json.Unmarshal([]byte(id), &written) == nil {
			if inner := first(string(written.Value), string(written.ID)); inner != "" {
				id, name = inner, first(name, string(written.DisplayName), string(written.Display))
			}
		}
	}
	// Some apps send the name only. It is better than no role.
	id = first(id, name)
	return role{id: id, name: first(name, id)}
}

// roles lists the user's roles, each once: those of the core schema, and those of
// extensions that this package does not know.
func (u *user) roles() []role {
	var roles []role
	at := map[string]int{}
	for _, one := range slices.Concat(u.Roles, u.extensionRoles) {
		found := one.role()
		if found.id == "" {
			continue
		}
		known, again := at[found.id]
		switch {
		case !again:
			at[found.id] = len(roles)
			roles = append(roles, found)
		case roles[known].name == found.id:
			roles[known].name = found.name
		}
	}
	return roles
}

// unfitRole is why the user's roles cannot be read, "" if they can. A role that was left
// out would be a grant that is lost.
func (u *user) unfitRole() string {
	if u.unread != "" {
		return unreadable(u.unread)
	}
	// That what an extension has by this name are roles is a guess.
	if slices.ContainsFunc(u.Roles, func(one value) bool { return one.unread }) {
		return "has a role in a form that cannot be read"
	}
	size := 0
	for _, one := range slices.Concat(u.Roles, u.extensionRoles) {
		found := one.role()
		switch {
		case isGarbled(found.id):
			return "has a role whose value is not valid text"
		case strings.ContainsFunc(found.id, unicode.IsControl):
			return "has a role with a line break or a control character in its value"
		case len(found.id) > maxID:
			return fmt.Sprintf("has a role whose value has more than %d bytes", maxID)
		}
		// No less than what the grant needs.
		size += 4*(len(found.id)+len(u.ID.text)) + 2*min(len(found.name), maxName) + 300
	}
	if size > maxBatchBytes {
		return fmt.Sprintf("has %d roles, which are more than one message can have", len(u.Roles)+len(u.extensionRoles))
	}
	return ""
}

// resource makes the SDK's resource of a role. masked is set if its name was masked.
func (r role) resource(masked *masking) (*v2.Resource, error) {
	return resource.NewRoleResource(cut(masked.mask(r.name), maxName), roleType(), r.id, nil,
		resource.WithResourceProfile(map[string]any{"value": r.id}))
}

// carrier is a user as far as the user's roles are concerned. Whatever else is wrong with
// a user, the listing of accounts reports.
type carrier struct{ *user }

func decodeCarriers(body []byte, c choice) (listHead, []entry, error) {
	head, users, err := readUsers(body, c)
	carriers := make([]entry, len(users))
	for i := range users {
		carriers[i] = carrier{&users[i]}
	}
	return head, carriers, err
}

func (carrier) unclear() bool { return false }

func (carrier) hasActive() bool { return true }

func (carrier) garbled() string { return "" }

func (c carrier) disputed() string {
	return first(c.user.disputed(), c.unfitRole())
}

// resource makes a resource that holds, as annotations, the grants of the user's roles.
// It goes through a batch, which bounds its size, and is never listed.
func (c carrier) resource(bool) (*v2.Resource, error) {
	id := v2.ResourceId_builder{ResourceType: userType().GetId(), Resource: c.id()}.Build()
	roles := c.roles()
	grants := make([]*anypb.Any, 0, len(roles))
	for _, one := range roles {
		of, err := one.resource(&c.masked)
		if err != nil {
			return nil, err
		}
		packed, err := anypb.New(grant.NewGrant(of, assignedSlug, id))
		if err != nil {
			return nil, err
		}
		grants = append(grants, packed)
	}
	return v2.Resource_builder{Id: id, Annotations: grants}.Build(), nil
}

// carried are the grants that a carrier's resource holds.
func carried(by *v2.Resource) ([]*v2.Grant, error) {
	grants := make([]*v2.Grant, 0, len(by.GetAnnotations()))
	for _, packed := range by.GetAnnotations() {
		one := &v2.Grant{}
		if err := packed.UnmarshalTo(one); err != nil {
			return nil, err
		}
		grants = append(grants, one)
	}
	return grants, nil
}
