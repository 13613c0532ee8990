package scim

import (
	"net/http"

	elimity "github.com/elimity-com/scim"
	scimerrors "github.com/elimity-com/scim/errors"
)

// users answers the library's questions about the endpoint /Users. The library
// has read the paging parameters by then: the index is at least 1 and the count
// is between 0 and the page cap.
type users struct {
	unchangeable
	people *directory[Account]
}

// GetAll lists the page asked for; beyond the end that is an empty one.
func (u users) GetAll(_ *http.Request, params elimity.ListRequestParams) (elimity.Page, error) {
	if params.FilterValidator != nil {
		return u.filtered(params)
	}
	accounts, total := u.people.page(params.StartIndex, params.Count)
	// Not nil even if empty: the library would write null.
	listed := make([]elimity.Resource, 0, len(accounts))
	for _, account := range accounts {
		listed = append(listed, resource(account))
	}
	return elimity.Page{TotalResults: total, Resources: listed}, nil
}

// filtered lists a page of those who pass the filter. The library judges.
func (u users) filtered(params elimity.ListRequestParams) (elimity.Page, error) {
	if err := params.FilterValidator.Validate(); err != nil {
		return elimity.Page{}, scimerrors.ScimErrorInvalidFilter
	}
	page := elimity.Page{Resources: []elimity.Resource{}}
	for _, account := range u.people.all() {
		listed := resource(account)
		if params.FilterValidator.PassesFilter(listed.Attributes) != nil {
			continue
		}
		page.TotalResults++
		if page.TotalResults >= params.StartIndex && len(page.Resources) < params.Count {
			page.Resources = append(page.Resources, listed)
		}
	}
	return page, nil
}

// Get is one user.
func (u users) Get(_ *http.Request, id string) (elimity.Resource, error) {
	account, found := u.people.get(id)
	if !found {
		return elimity.Resource{}, scimerrors.ScimErrorResourceNotFound(id)
	}
	return resource(account), nil
}
