package scim_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

// wireGroup is a group as it is sent.
type wireGroup struct {
	ID          string           `json:"id"`
	DisplayName string           `json:"displayName"`
	Members     []map[string]any `json:"members"`
}

func TestGroups_AreTheSameOnEveryRun(t *testing.T) {
	t.Parallel()
	accounts := people(t, "design-tool", 3, 100)
	groups := scim.MakeGroups("design-tool", 3, accounts, 12)
	require.Equal(t, groups, scim.MakeGroups("design-tool", 3, accounts, 12))
	require.Len(t, groups[0].Members, 100, "everybody")
	require.Empty(t, groups[1].Members, "nobody")

	// Each level below is one more group.
	depth := func(id string) int {
		deepest := 0
		for at := id; at != ""; deepest++ {
			group := groups[slices.IndexFunc(groups, func(g scim.Group) bool { return g.ID == at })]
			at = ""
			for _, member := range group.Members {
				if member.Type == scim.GroupMember {
					at = member.ID
				}
			}
			require.Less(t, deepest, len(groups), "a group is in itself")
		}
		return deepest
	}
	require.GreaterOrEqual(t, depth(groups[7].ID), 3)
}

func TestGroups_AreServedWithTheirMembers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		opts           scim.Options
		query          string
		listed, single bool
	}{
		"as they are":            {scim.Options{}, "", true, true},
		"members are excluded":   {scim.Options{}, "excludedAttributes=members", false, false},
		"lists are without them": {scim.Options{OmitListedMembers: true}, "", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.opts.Accounts, c.opts.Groups = 30, 8
			service := start(t, c.opts)
			page := readPage(t, service.get(t, "/Groups?startIndex=1&count=100&"+c.query))
			require.Equal(t, 8, page.TotalResults)
			for i, want := range service.Groups() {
				var listed, single wireGroup
				require.NoError(t, json.Unmarshal(page.Resources[i], &listed))
				require.NoError(t, json.Unmarshal(service.get(t, "/Groups/"+want.ID+"?"+c.query).body, &single))
				require.Equal(t, want.ID, listed.ID)
				require.Equal(t, want.DisplayName, single.DisplayName)
				for got, with := range map[*wireGroup]bool{&listed: c.listed, &single: c.single} {
					if !with {
						require.Empty(t, got.Members)
						continue
					}
					require.Len(t, got.Members, len(want.Members))
					for j, member := range want.Members {
						require.Equal(t, map[string]any{"value": member.ID, "type": member.Type, "$ref": "../" + member.Type + "s/" + member.ID}, got.Members[j])
					}
				}
			}
		})
	}

	t.Run("without the types of members", func(t *testing.T) {
		t.Parallel()
		service := start(t, scim.Options{Accounts: 1, Groups: 1, OmitMemberTypes: true})
		var group wireGroup
		require.NoError(t, json.Unmarshal(service.get(t, "/Groups/g-000001").body, &group))
		require.Equal(t, []map[string]any{{"value": "u-000001"}}, group.Members)
	})

	t.Run("not at all where there are none", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, http.StatusNotFound, start(t, scim.Options{Accounts: 1}).get(t, "/Groups").status)
	})

	t.Run("as they are now", func(t *testing.T) {
		t.Parallel()
		service := start(t, scim.Options{Groups: 2})
		require.NoError(t, service.AddGroup(scim.Group{ID: "new", DisplayName: "New"}))
		require.NoError(t, service.UpdateGroup(scim.Group{ID: "g-000001", DisplayName: "Changed"}))
		require.NoError(t, service.RemoveGroup("g-000002"))
		require.EqualError(t, service.AddGroup(scim.Group{ID: "new"}), `add a group: there is one with the id "new" already`)
		page := readPage(t, service.get(t, "/Groups"))
		require.Equal(t, 2, page.TotalResults)
		require.Contains(t, string(page.Resources[0]), "Changed")
		require.Contains(t, string(page.Resources[1]), "New")
	})
}

func TestUsers_AreFiltered(t *testing.T) {
	t.Parallel()
	service := start(t, scim.Options{Accounts: 60})
	for filter, passes := range map[string]func(a scim.Account) bool{
		`userName eq "` + service.Accounts()[7].UserName + `"`: func(a scim.Account) bool { return a.ID == service.Accounts()[7].ID },
		`active eq false`: func(a scim.Account) bool { return !a.Active && !a.OmitActive },
		`title pr`:        func(a scim.Account) bool { return a.Title != "" },
	} {
		t.Run(filter, func(t *testing.T) {
			t.Parallel()
			want := []string{}
			for _, person := range service.Accounts() {
				if passes(person) {
					want = append(want, person.ID)
				}
			}
			got := []string{}
			for startIndex := 1; startIndex <= len(want); startIndex += 4 {
				page := readPage(t, service.get(t, fmt.Sprintf("/Users?startIndex=%d&count=4&filter=%s", startIndex, url.QueryEscape(filter))))
				require.Equal(t, len(want), page.TotalResults)
				for _, raw := range page.Resources {
					got = append(got, account(t, raw).ID)
				}
			}
			require.Equal(t, want, got)
		})
	}
}

func TestServer_AcceptsAUserNameAndHeaders(t *testing.T) {
	t.Parallel()
	server, err := scim.New(scim.Options{Accounts: 1, BasicUser: "ann", BasicPassword: "s3cret", RequireHeaders: map[string]string{"x-tenant": "7"}})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		password, tenant string
		want             int
	}{
		"both right":     {"s3cret", "7", http.StatusOK},
		"wrong password": {"s3cre", "7", http.StatusUnauthorized},
		"wrong header":   {"s3cret", "8", http.StatusUnauthorized},
		"no header":      {"s3cret", "", http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("ann:"+c.password))}}
			if c.tenant != "" {
				header.Set("X-Tenant", c.tenant)
			}
			require.Equal(t, c.want, serveWith(t, server, header).Code)
		})
	}
}
