package scim

import (
	"strings"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
)

// group is a Group resource (RFC 7643 section 4.2) without its members, which are
// read one group at a time.
type group struct {
	ID          identifier `json:"id"`
	ExternalID  text       `json:"externalId"`
	DisplayName text       `json:"displayName"`
	Meta        meta       `json:"meta"`
	UserName    string     `json:"userName"`

	// masked reports whether a text of the resource was masked.
	masked masking
	// dispute is what disputed returns.
	dispute string
	// unread is the name of a member that holds attributes of the core schema and cannot
	// be read, see readNested.
	unread string
}

// groupType is the resource type of groups. Every group has the one entitlement
// to be a member of it, so none is asked for by group.
func groupType() *v2.ResourceType {
	return v2.ResourceType_builder{
		Id:          "group",
		DisplayName: "Group",
		Traits:      []v2.ResourceType_Trait{v2.ResourceType_TRAIT_GROUP},
		Annotations: annotations.New(&v2.SkipEntitlements{}),
	}.Build()
}

func decodeGroups(body []byte, _ choice) (listHead, []entry, error) {
	head, groups, err := decodeList[group](body)
	readNested(body, groups)
	return head, entries(groups), err
}

func (g *group) id() string { return string(g.ID.text) }

func (g *group) name() string { return string(g.DisplayName) }

func (g *group) unclear() bool { return false }

func (g *group) isMasked() bool { return bool(g.masked) }

func (g *group) hasLogin() bool { return true }

func (g *group) hasActive() bool { return true }

func (g *group) disputed() string {
	switch {
	case g.ID.contradicts(exactly):
		return "has two different values of id"
	case g.dispute != "":
		return "has two different values of " + g.dispute
	case g.unread != "" && strings.TrimSpace(string(g.DisplayName)) == "":
		return unreadable(g.unread)
	}
	return ""
}

func (g *group) garbled() string { return "" }

// foreign reports whether a resource in a list of groups is a user.
func (g *group) foreign() bool {
	return strings.EqualFold(g.Meta.ResourceType, "User") && g.UserName != ""
}

// resource makes the SDK's resource of a group.
func (g *group) resource(bool) (*v2.Resource, error) {
	profile := map[string]any{"scim_id": string(g.ID.text)}
	for key, value := range map[string]text{"display_name": g.DisplayName, "external_id": g.ExternalID} {
		if strings.TrimSpace(string(value)) != "" {
			profile[key] = g.masked.mask(string(value))
		}
	}
	options := []resource.ResourceOption{resource.WithResourceProfile(profile)}
	if !g.Meta.Created.IsZero() {
		options = append(options, resource.WithResourceCreatedAt(g.Meta.Created.Time))
	}
	name := cut(g.masked.mask(first(string(g.DisplayName), string(g.ExternalID), string(g.ID.text))), maxName)
	return resource.NewGroupResource(name, groupType(), string(g.ID.text), nil, options...)
}
