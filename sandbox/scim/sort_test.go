package scim_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

// TestSort: RFC 7644 section 3.4.2.3. An id is compared with its case, a name without.
func TestSort(t *testing.T) {
	t.Parallel()
	seeded := func(t *testing.T, opts scim.Options) running {
		t.Helper()
		opts.Groups, opts.Accounts = 1, 1
		service := start(t, opts)
		require.NoError(t, service.Remove(service.Accounts()[0].ID))
		require.NoError(t, service.RemoveGroup(service.Groups()[0].ID))
		for _, one := range [][2]string{{"b", "Zoe"}, {"C", ""}, {"a", "adam"}, {"B", "Bea"}} {
			require.NoError(t, service.Add(scim.Account{ID: one[0], UserName: one[1]}))
			require.NoError(t, service.AddGroup(scim.Group{ID: one[0], DisplayName: one[1]}))
		}
		return service
	}
	ids := func(t *testing.T, page listResponse) string {
		t.Helper()
		list := ""
		for _, raw := range page.Resources {
			var one struct{ ID string }
			require.NoError(t, json.Unmarshal(raw, &one))
			list += one.ID
		}
		return list
	}
	for query, want := range map[string]string{
		"/Users":                                                            "bCaB",
		"/Users?sortOrder=descending":                                       "bCaB",
		"/Users?sortBy=id":                                                  "BCab",
		"/Users?sortBy=ID&sortOrder=descending":                             "baCB",
		"/Users?sortBy=id&startIndex=2&count=2":                             "Ca",
		"/Users?sortBy=id&startIndex=9":                                     "",
		"/Users?sortBy=userName&sortOrder=ascending":                        "aBbC", // who has none is last
		"/Users?sortBy=username&sortOrder=descending":                       "CbBa",
		"/Users?sortBy=urn:ietf:params:scim:schemas:core:2.0:User:userName": "aBbC",
		"/Users?sortBy=id&filter=userName%20pr":                             "Bab",
		"/Groups?sortBy=id":                                                 "BCab",
		"/Groups?sortBy=displayName":                                        "aBbC",
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, want, ids(t, readPage(t, seeded(t, scim.Options{}).get(t, query))))
		})
	}
	t.Run("an attribute that is not sorted by, and an order that there is not", func(t *testing.T) {
		t.Parallel()
		service := seeded(t, scim.Options{})
		for _, query := range []string{"/Users?sortBy=title", "/Groups?sortBy=userName", "/Users?sortBy=id&sortOrder=up", "/Users?sortBy=title&filter=userName%20pr"} {
			require.Equal(t, http.StatusBadRequest, service.get(t, query).status, query)
		}
	})
	t.Run("a service that ignores it", func(t *testing.T) {
		t.Parallel()
		service := seeded(t, scim.Options{IgnoreSort: true})
		for _, query := range []string{"/Users?sortBy=id", "/Groups?sortBy=id", "/Users?sortBy=title"} {
			require.Equal(t, "bCaB", ids(t, readPage(t, service.get(t, query))), query)
		}
	})
}
