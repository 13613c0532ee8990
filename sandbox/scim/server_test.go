package scim_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/batonhost/baton-host/sandbox/scim"
)

func TestServer_RefusesImpossibleOptions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		opts scim.Options
		want string
	}{
		"no token":                {scim.Options{}, "the bearer token is missing"},
		"token with a newline":    {scim.Options{Token: "hush\n"}, "the bearer token must consist of visible ASCII characters, without spaces"},
		"token that is not ASCII": {scim.Options{Token: "hüsh"}, "the bearer token must consist of visible ASCII characters, without spaces"},
		"negative accounts":       {scim.Options{Token: token, Accounts: -1}, "the number of accounts must not be negative, unlike -1"},
		"negative page cap":       {scim.Options{Token: token, PageCap: -1}, "the page cap must be at least 1, not -1"},
		"negative latency":        {scim.Options{Token: token, Latency: -time.Second}, "the latency must not be negative, unlike -1s"},
		"relative base path":      {scim.Options{Token: token, BasePath: "scim"}, `the base path must begin with a slash, unlike "scim"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := scim.New(c.opts)
			require.EqualError(t, err, c.want)
		})
	}
}

func TestServer_RequiresTheToken(t *testing.T) {
	t.Parallel()
	service := start(t, scim.Options{Accounts: 3})
	for authorization, want := range map[string]int{
		"Bearer " + token:        http.StatusOK,
		"bearer " + token:        http.StatusOK,
		"":                       http.StatusUnauthorized,
		"Bearer":                 http.StatusUnauthorized,
		"Bearer " + token + "x":  http.StatusUnauthorized,
		"Bearer " + token[:3]:    http.StatusUnauthorized,
		"Bearer Bearer " + token: http.StatusUnauthorized,
		"Basic " + token:         http.StatusUnauthorized,
		token:                    http.StatusUnauthorized,
		"Bearer " + "S3CRET/+=":  http.StatusUnauthorized,
	} {
		t.Run(authorization, func(t *testing.T) {
			t.Parallel()
			for _, path := range []string{"/Users", "/Users/u-000001", "/Schemas", "/ServiceProviderConfig"} {
				got := service.do(t, http.MethodGet, path, authorization, nil)
				require.Equal(t, want, got.status, path)
				if want != http.StatusUnauthorized {
					continue
				}
				_, detail := scimError(t, got)
				require.Equal(t, "The bearer token is missing or wrong.", detail)
				require.Equal(t, `Bearer realm="SCIM"`, got.header.Get("WWW-Authenticate"))
			}
		})
	}
}

func TestServer_FindsAUserByID(t *testing.T) {
	t.Parallel()
	service := start(t, scim.Options{Accounts: 40})
	for _, want := range service.Accounts() {
		got := service.get(t, "/Users/"+want.ID)
		require.Equal(t, http.StatusOK, got.status)
		require.Empty(t, cmp.Diff(want, account(t, got.body)))
	}
}

func TestServer_ReturnsAbsoluteLocations(t *testing.T) {
	t.Parallel()
	service := start(t, scim.Options{Accounts: 1, BasePath: "/t/1/scim/"})
	require.True(t, strings.HasSuffix(service.baseURL, "/t/1/scim"))
	var read user
	require.NoError(t, json.Unmarshal(service.list(t, "").Resources[0], &read))
	require.Equal(t, service.baseURL+"/Users/u-000001", read.Meta.Location)
	require.Equal(t, []string{
		"urn:ietf:params:scim:schemas:core:2.0:User",
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
	}, read.Schemas)

	overTLS := serve(t.Context(), service.Server, "https://idp.example.com/t/1/scim/Users/u-000001")
	require.NoError(t, json.Unmarshal(overTLS.Body.Bytes(), &read))
	require.Equal(t, "https://idp.example.com/t/1/scim/Users/u-000001", read.Meta.Location)
}

func TestServer_ServesDiscovery(t *testing.T) {
	t.Parallel()
	service := start(t, scim.Options{PageCap: 50})
	for path, want := range map[string]string{
		"/ServiceProviderConfig": `"maxResults":50`,
		"/ResourceTypes":         `"endpoint":"/Users"`,
		"/ResourceTypes/User":    `"schema":"urn:ietf:params:scim:schemas:core:2.0:User"`,
		"/Schemas":               `"id":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`,
	} {
		got := service.get(t, path)
		require.Equal(t, http.StatusOK, got.status)
		require.Contains(t, string(got.body), want)
	}
}

func TestServer_ReturnsNotFound(t *testing.T) {
	t.Parallel()
	service := start(t, scim.Options{Accounts: 3})
	for _, path := range []string{
		"/Users/u-000004", "/Users/", "//Users", "/users", "/Groups", "/v2/Users", "x/Users", "/../Users",
	} {
		require.Equal(t, http.StatusNotFound, service.get(t, path).status, path)
	}
	require.Equal(t, http.StatusNotFound, running{baseURL: strings.TrimSuffix(service.baseURL, "/scim/v2")}.get(t, "/Users").status)
	_, detail := scimError(t, service.get(t, "/Users/u-000004"))
	require.Contains(t, detail, "u-000004")
}

func TestServer_RefusesWrites(t *testing.T) {
	t.Parallel()
	service := start(t, scim.Options{Accounts: 3})
	before := service.Accounts()
	const (
		userBody  = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"new"}`
		patchBody = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`
	)
	for _, c := range []struct{ method, path, body string }{
		{http.MethodPost, "/Users", userBody},
		{http.MethodPut, "/Users/u-000001", userBody},
		{http.MethodPatch, "/Users/u-000001", patchBody},
		{http.MethodDelete, "/Users/u-000001", ""},
		{http.MethodPost, "/Users/.search", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]}`},
	} {
		got := service.do(t, c.method, c.path, "Bearer "+token, strings.NewReader(c.body))
		require.Equal(t, http.StatusNotImplemented, got.status, "%s %s: %s", c.method, c.path, got.body)
		_, detail := scimError(t, got)
		require.NotEmpty(t, detail)
	}
	require.Empty(t, cmp.Diff(before, service.Accounts()))
}

func TestChanges_ShowInTheNextRequest(t *testing.T) {
	t.Parallel()
	service := start(t, scim.Options{Accounts: 25, PageCap: 10})
	want := service.Accounts()

	added := scim.Account{ID: "new", UserName: "new@example.com", Emails: []string{"new@example.com"}, Active: true}
	require.NoError(t, service.Add(added))
	want = append(want, added)
	require.Empty(t, cmp.Diff(want, service.readAll(t, 10)))

	require.NoError(t, service.Remove("u-000003"))
	want = append(want[:2:2], want[3:]...)
	require.Empty(t, cmp.Diff(want, service.readAll(t, 10)))
	require.Equal(t, http.StatusNotFound, service.get(t, "/Users/u-000003").status)

	want[20].Active = !want[20].Active
	want[20].Emails = []string{"first@example.com", "second@example.com", "third@example.com"}
	require.NoError(t, service.Update(want[20]))
	require.Empty(t, cmp.Diff(want, service.readAll(t, 10)))
	require.Empty(t, cmp.Diff(want, service.Accounts()))

	for _, account := range want {
		require.Equal(t, http.StatusOK, service.get(t, "/Users/"+account.ID).status, "found by id after the others moved")
	}
}

func TestChanges_RefuseNonsense(t *testing.T) {
	t.Parallel()
	service := start(t, scim.Options{Accounts: 3})
	before := service.Accounts()
	require.EqualError(t, service.Add(scim.Account{}), "add an account: it has no id")
	require.EqualError(t, service.Add(before[1]), `add an account: there is one with the id "u-000002" already`)
	require.EqualError(t, service.Update(scim.Account{ID: "x"}), `update an account: there is none with the id "x"`)
	require.EqualError(t, service.Remove("x"), `remove an account: there is none with the id "x"`)
	require.Empty(t, cmp.Diff(before, service.Accounts()))
}

func TestAccounts_CannotBeChangedFromOutside(t *testing.T) {
	t.Parallel()
	service := start(t, scim.Options{Accounts: 20})
	before := service.Accounts()
	added := scim.Account{ID: "new", Emails: []string{"new@example.com"}, Roles: []string{"Guest"}}
	require.NoError(t, service.Add(added))
	added.Emails[0], added.Roles[0] = "changed", "changed"

	taken := service.Accounts()
	for i := range taken {
		for j := range taken[i].Emails {
			taken[i].Emails[j] = "changed"
		}
	}
	want := append(before, scim.Account{ID: "new", Emails: []string{"new@example.com"}, Roles: []string{"Guest"}})
	require.Empty(t, cmp.Diff(want, service.Accounts()))
}

func TestRequests_AreRecordedWithoutTheToken(t *testing.T) {
	t.Parallel()
	service := start(t, scim.Options{Accounts: 3})
	service.get(t, "/Users?startIndex=1&count=2")
	service.get(t, "/Users?startIndex=3&count=2")
	service.get(t, "/Users/u-000009")
	service.do(t, http.MethodGet, "/Users", "Bearer wrong-one", nil)
	service.do(t, http.MethodDelete, "/Users/u-000001", "Bearer "+token, nil)

	require.Equal(t, []scim.Request{
		{Method: "GET", Path: "/scim/v2/Users", Query: "startIndex=1&count=2", Status: 200},
		{Method: "GET", Path: "/scim/v2/Users", Query: "startIndex=3&count=2", Status: 200},
		{Method: "GET", Path: "/scim/v2/Users/u-000009", Status: 404},
		{Method: "GET", Path: "/scim/v2/Users", Status: 401},
		{Method: "DELETE", Path: "/scim/v2/Users/u-000001", Status: 501},
	}, service.Requests())
	noted := fmt.Sprintf("%+v", service.Requests())
	require.NotContains(t, noted, token)
	require.NotContains(t, noted, "wrong-one")
	require.NotContains(t, fmt.Sprintf("%+v", service.Server), token)
}

func TestChanges_AreSafeWithConcurrentReaders(t *testing.T) {
	t.Parallel()
	const readers, pageCap = 4, 50
	service := start(t, scim.Options{Accounts: 200, PageCap: pageCap})
	stable := service.Accounts()

	reading, stop := context.WithCancel(t.Context())
	var changing errgroup.Group
	changing.Go(func() error {
		for i := 0; reading.Err() == nil; i++ {
			// What comes and goes does so at the end, so that everybody else
			// keeps their place.
			passing := scim.Account{ID: fmt.Sprintf("passing-%d", i)}
			err := errors.Join(service.Add(passing), service.Update(stable[i%len(stable)]), service.Remove(passing.ID))
			if err != nil {
				return err
			}
			service.Accounts()
			service.Requests()
		}
		return nil
	})

	var pages [readers][]answer
	var group errgroup.Group
	for i := range pages {
		group.Go(func() error {
			for start := 1; start <= len(stable); start += pageCap {
				path := fmt.Sprintf("/Users?startIndex=%d", start)
				page, err := service.send(t.Context(), http.MethodGet, path, "Bearer "+token, nil)
				if err != nil {
					return err
				}
				pages[i] = append(pages[i], page)
			}
			return nil
		})
	}
	err := group.Wait()
	stop()
	require.NoError(t, err)
	require.NoError(t, changing.Wait())

	for _, read := range pages {
		var accounts []scim.Account
		for _, page := range read {
			for _, raw := range readPage(t, page).Resources {
				accounts = append(accounts, account(t, raw))
			}
		}
		require.Empty(t, cmp.Diff(stable, accounts))
	}
	require.Empty(t, cmp.Diff(stable, service.Accounts()))
	require.Len(t, service.Requests(), readers*len(stable)/pageCap)
}

func TestLatency_DelaysListsOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, err := scim.New(scim.Options{Accounts: 3, Token: token, Latency: 20 * time.Millisecond})
		require.NoError(t, err)
		for path, want := range map[string]time.Duration{
			"/scim/v2/Users":                 20 * time.Millisecond,
			"/scim/v2/Users?startIndex=2":    20 * time.Millisecond,
			"/scim/v2/Users/u-000001":        0,
			"/scim/v2/ServiceProviderConfig": 0,
		} {
			started := time.Now()
			require.Equal(t, http.StatusOK, serve(t.Context(), server, path).Code)
			require.Equal(t, want, time.Since(started), path)
		}
	})
}

func TestLatency_EndsWhenTheClientLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, err := scim.New(scim.Options{Accounts: 3, Token: token, Latency: time.Hour})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		started := time.Now()
		require.Equal(t, http.StatusServiceUnavailable, serve(ctx, server, "/scim/v2/Users").Code)
		require.Equal(t, time.Second, time.Since(started))
		require.Equal(t, []scim.Request{{Method: "GET", Path: "/scim/v2/Users", Status: 503}}, server.Requests())
	})
}

func serveWith(t *testing.T, server *scim.Server, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	recorder := httptest.NewRecorder()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, server.BasePath()+"/Users", nil)
	request.Header = header
	server.ServeHTTP(recorder, request)
	return recorder
}

func serve(ctx context.Context, server *scim.Server, path string) *httptest.ResponseRecorder {
	request := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	request.Header.Set("Authorization", "Bearer "+token)
	recorder := httptest.NewRecorder()
	server.ServeHTTP(recorder, request)
	return recorder
}
