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
	// ignoreSort lists them in their own order, whatever is asked for.
	ignoreSort bool
}

// GetAll lists the page asked for; beyond the end that is an empty one.
func (u users) GetAll(r *http.Request, params elimity.ListRequestParams) (elimity.Page, error) {
	asked := orderOf(r)
	if u.ignoreSort {
		asked = order{}
	}
	if params.FilterValidator != nil {
		return u.filtered(params, asked)
	}
	accounts, total, err := u.people.listing(params, asked, userSortKeys)
	if err != nil {
		return elimity.Page{}, err
	}
	// Not nil even if empty: the library would write null.
	listed := make([]elimity.Resource, 0, len(accounts))
	for _, account := range accounts {
		listed = append(listed, resource(account))
	}
	return elimity.Page{TotalResults: total, Resources: listed}, nil
}

// filtered lists a page of those who pass the filter. The library judges.
func (u users) filtered(params elimity.ListRequestParams, asked order) (elimity.Page, error) {
	if err := params.FilterValidator.Validate(); err != nil {
		return elimity.Page{}, scimerrors.ScimErrorInvalidFilter
	}
	page, accounts := elimity.Page{Resources: []elimity.Resource{}}, u.people.all()
	if asked.by != "" {
		var err error
		if accounts, err = userSortKeys.sorted(accounts, asked); err != nil {
			return elimity.Page{}, err
		}
	}
	for _, account := range accounts {
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
