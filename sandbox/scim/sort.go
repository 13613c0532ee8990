package scim

import (
	"net/http"
	"slices"
	"strings"

	scimerrors "github.com/elimity-com/scim/errors"
)

// order is how a request wants a list to be sorted: not at all if by is empty. The library
// leaves it to us.
type order struct{ by, direction string }

func orderOf(r *http.Request) order {
	query := r.URL.Query()
	return order{by: query.Get("sortBy"), direction: query.Get("sortOrder")}
}

// sortKeys are the attributes by which a list can be sorted, in lower case, with what is
// compared of each: the value as it is if the attribute is caseExact, else without its case
// (RFC 7644 section 3.4.2.3).
type sortKeys[T any] map[string]func(entry T) string

var (
	userSortKeys = sortKeys[Account]{
		"id":       func(a Account) string { return a.ID },
		"username": func(a Account) string { return strings.ToLower(a.UserName) },
	}
	groupSortKeys = sortKeys[Group]{
		"id":          func(g Group) string { return g.ID },
		"displayname": func(g Group) string { return strings.ToLower(g.DisplayName) },
	}
)

// sorted returns entries in the order that is asked for. Entries without the attribute are the last in ascending order, and the first in
// descending.
func (k sortKeys[T]) sorted(entries []T, asked order) ([]T, error) {
	// An attribute may have the URN of its schema before it.
	name := strings.ToLower(asked.by[strings.LastIndex(asked.by, ":")+1:])
	key, found := k[name]
	if !found {
		return nil, scimerrors.ScimErrorInvalidPath
	}
	if !slices.Contains([]string{"", "ascending", "descending"}, asked.direction) {
		return nil, scimerrors.ScimErrorInvalidValue
	}
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(one, other T) int {
		a, b := key(one), key(other)
		if (a == "") != (b == "") {
			return strings.Compare(b, a)
		}
		return strings.Compare(a, b)
	})
	if asked.direction == "descending" {
		slices.Reverse(entries)
	}
	return entries, nil
}
