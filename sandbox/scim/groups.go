package scim

import (
	"net/http"
	"slices"
	"strings"

	elimity "github.com/elimity-com/scim"
	scimerrors "github.com/elimity-com/scim/errors"
	"github.com/elimity-com/scim/optional"
)

// groups answers the library's questions about the endpoint /Groups, as users
// does for /Users.
type groups struct {
	unchangeable
	groups *directory[Group]
	// omitListed leaves members out of lists, omitTypes what they are.
	omitListed, omitTypes bool
	ignoreSort            bool // as for users
}

// GetAll lists the page asked for.
func (g groups) GetAll(r *http.Request, params elimity.ListRequestParams) (elimity.Page, error) {
	if params.FilterValidator != nil {
		return elimity.Page{}, scimerrors.ScimErrorInvalidFilter
	}
	asked := orderOf(r)
	if g.ignoreSort {
		asked = order{}
	}
	page, total, err := g.groups.listing(params, asked, groupSortKeys)
	if err != nil {
		return elimity.Page{}, err
	}
	listed := make([]elimity.Resource, 0, len(page))
	for _, group := range page {
		listed = append(listed, g.resource(group, g.omitListed || withoutMembers(r)))
	}
	return elimity.Page{TotalResults: total, Resources: listed}, nil
}

// Get is one group.
func (g groups) Get(r *http.Request, id string) (elimity.Resource, error) {
	group, found := g.groups.get(id)
	if !found {
		return elimity.Resource{}, scimerrors.ScimErrorResourceNotFound(id)
	}
	return g.resource(group, withoutMembers(r)), nil
}

// withoutMembers reports whether the request excludes the members (RFC 7644 section
// 3.9), which the library leaves to us.
func withoutMembers(r *http.Request) bool {
	excluded := strings.Split(r.URL.Query().Get("excludedAttributes"), ",")
	return slices.ContainsFunc(excluded, func(name string) bool { return strings.EqualFold(strings.TrimSpace(name), "members") })
}

func (g groups) resource(group Group, omitMembers bool) elimity.Resource {
	attributes := elimity.ResourceAttributes{"displayName": group.DisplayName}
	var members []any
	for _, member := range group.Members {
		sent := map[string]any{"value": member.ID}
		if !g.omitTypes {
			sent["type"] = member.Type
			sent["$ref"] = "../" + member.Type + "s/" + member.ID
		}
		members = append(members, sent)
	}
	if len(members) > 0 && !omitMembers {
		attributes["members"] = members
	}
	described := elimity.Resource{ID: group.ID, Attributes: attributes}
	if group.ExternalID != "" {
		described.ExternalID = optional.NewString(group.ExternalID)
	}
	return described
}
