package scim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/pagination"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/sandbox/raced"
)

// rolesOfNumbers serves so many users, each with two roles of seven.
func rolesOfNumbers(t *testing.T, users int) *Client {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, _ := strconv.Atoi(r.URL.Query().Get("startIndex"))
		count, _ := strconv.Atoi(r.URL.Query().Get("count"))
		list := []any{}
		for i := from; i < from+count && i <= users; i++ {
			list = append(list, map[string]any{"id": strconv.Itoa(i), "userName": fmt.Sprintf("u%d", i), "roles": []string{fmt.Sprint("a", i%7), fmt.Sprint("b", i%7)}})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"totalResults": users, "startIndex": from, "Resources": list})
	}))
	t.Cleanup(app.Close)
	client, err := NewClient(t.Context(), Options{BaseURL: app.URL, Token: fuzzToken, UserAgent: "test/v1"})
	require.NoError(t, err)
	return client
}

// TestRoster_IsBounded: what there is no room for is not kept, and nothing is lost by that.
func TestRoster_IsBounded(t *testing.T) {
	t.Parallel()
	const users = 3210
	for name, c := range map[string]struct {
		room int
		kept bool
	}{
		"enough":            {maxRoster, true},
		"not for all users": {20_000, false},
		"not for all roles": {1000, false},
		"not for a role":    {1, false},
	} {
		t.Run(name, func(t *testing.T) {
			if !c.kept {
				raced.LeaveOut(t)
			}
			t.Parallel()
			s := NewConnector(App{Roles: true}, rolesOfNumbers(t, users)).roles
			s.room = c.room
			roles := map[string]bool{}
			attrs := func(token string) resource.SyncOpAttrs {
				return resource.SyncOpAttrs{SyncID: "sync-1", PageToken: pagination.Token{Token: token}}
			}
			for token, more := "", true; more; more = token != "" {
				list, next, err := s.List(t.Context(), nil, attrs(token))
				require.NoError(t, err)
				for _, role := range list {
					roles[role.GetId().GetResource()] = true
				}
				token = next.NextPageToken
				if s.filling != nil && !s.filling.whole {
					require.Empty(t, s.filling.log, "it takes no room any more")
				}
			}
			require.Len(t, roles, 14)
			require.Equal(t, c.kept, s.full != nil)
			if c.kept {
				// An id of up to four digits, its length, two roles and their number.
				require.LessOrEqual(t, len(s.full.log), 8*users)
				require.Equal(t, maxRoster-len(s.full.log), s.full.room+3*sizeOf(s.full.roles))
			}

			grants := map[string]bool{}
			for token, more := "", true; more; more = token != "" {
				list, next, err := s.GrantsForResourceType(t.Context(), "role", attrs(token))
				require.NoError(t, err)
				for _, one := range list {
					grants[one.GetId()] = true
				}
				token = next.NextPageToken
			}
			require.Len(t, grants, 2*users)
		})
	}
}

func sizeOf(resources []*v2.Resource) int {
	size := 0
	for _, one := range resources {
		size += proto.Size(one)
	}
	return size
}
