package scim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/types"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/scim"
)

const testToken = "6rT0-q9Zs.Vd_7pLm~Xw3"

// app is a SCIM service of which each oddity can be switched on. Without any it
// does what RFC 7644 requires.
type app struct {
	ids []string
	cap int // most users a page holds, 0 for no cap

	// answer changes a correct answer into what the server sends; nil sends it
	// as it is.
	answer func(request listRequest, answer map[string]any) map[string]any
	// hook runs before a request is answered and may change the app.
	hook func(a *app, request listRequest)

	mu       sync.Mutex
	requests []listRequest
}

// listRequest is a request for users as the app understood it.
type listRequest struct {
	start, count int
	number       int // of the request, from 1
	http         *http.Request
}

// isProbe reports whether a request is made only to learn more of a list that has been read.
func (r listRequest) isProbe() bool {
	return r.http.URL.Query().Has("sortBy") || r.http.URL.Query().Get("startIndex") == "0"
}

// pages are the requests for pages, without the probes.
func (a *app) pages() []listRequest {
	return slices.DeleteFunc(slices.Clone(a.requests), listRequest.isProbe)
}

func newApp(users int) *app {
	a := &app{}
	for i := range users {
		a.ids = append(a.ids, fmt.Sprintf("id-%04d", i+1))
	}
	return a
}

func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	request := listRequest{number: len(a.requests) + 1, http: r}
	request.start, _ = strconv.Atoi(r.URL.Query().Get("startIndex"))
	request.count, _ = strconv.Atoi(r.URL.Query().Get("count"))
	a.requests = append(a.requests, request)
	if a.hook != nil {
		a.hook(a, request)
	}

	count := request.count
	if a.cap > 0 {
		count = min(count, a.cap)
	}
	answer := listAnswer(a.page(request.start, count), len(a.ids), request.start)
	if a.answer != nil {
		answer = a.answer(request, answer)
	}
	w.Header().Set("Content-Type", "application/scim+json")
	_ = json.NewEncoder(w).Encode(answer)
}

// page is count users from the 1-based index start on.
func (a *app) page(start, count int) []any {
	from := min(max(start, 1)-1, len(a.ids))
	to := min(from+count, len(a.ids))
	users := []any{}
	for _, id := range a.ids[from:to] {
		users = append(users, map[string]any{"id": id, "userName": id + "@example.com"})
	}
	return users
}

func listAnswer(users []any, total, start int) map[string]any {
	return map[string]any{
		"schemas":      []string{"urn:ietf:params:scim:api:messages:2.0:ListResponse"},
		"totalResults": total,
		"startIndex":   start,
		"itemsPerPage": len(users),
		"Resources":    users,
	}
}

// serve answers every request with one body.
func serve(httpStatus int, contentType, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		} else {
			w.Header()["Content-Type"] = nil
		}
		w.WriteHeader(httpStatus)
		_, _ = w.Write([]byte(body))
	})
}

// oneUser serves a list of the one user written in JSON, and that list only.
func oneUser(user string) http.Handler { return userList(user) }

// userList serves a list of users written in JSON, whole at index 1 and nothing
// beyond.
func userList(users ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		listed := ""
		if r.URL.Query().Get("startIndex") == "1" {
			listed = strings.Join(users, ",")
		}
		w.Header().Set("Content-Type", "application/scim+json")
		fmt.Fprintf(w, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":%d,"Resources":[%s]}`,
			len(users), listed)
	})
}

// start runs a handler as a service.
func start(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// newConnector is a connector for the service at a URL, as the SDK serves it.
func newConnector(t *testing.T, baseURL string) types.ConnectorServer {
	t.Helper()
	client, err := scim.NewClient(t.Context(), scim.Options{
		BaseURL: baseURL, Token: testToken, UserAgent: "baton-test/v1.2.3",
	})
	require.NoError(t, err)
	return serveConnector(t, client)
}

func serveConnector(t *testing.T, client *scim.Client) types.ConnectorServer {
	t.Helper()
	connector, err := connectorbuilder.NewConnector(t.Context(),
		scim.NewConnector(scim.App{DisplayName: "Test", Description: "A test."}, client))
	require.NoError(t, err)
	return connector
}

// listOnce asks the connector for one batch of accounts.
func listOnce(ctx context.Context, connector types.ConnectorServer, token string) ([]*v2.Resource, string, error) {
	answer, err := connector.ListResources(ctx, v2.ResourcesServiceListResourcesRequest_builder{
		ResourceTypeId: "user", PageToken: token,
	}.Build())
	if err != nil {
		return nil, "", err
	}
	answer, err = received(answer)
	return answer.GetList(), answer.GetNextPageToken(), err
}

// received is an answer as it comes to who has asked for it, over a connection.
func received(sent *v2.ResourcesServiceListResourcesResponse) (*v2.ResourcesServiceListResourcesResponse, error) {
	encoded, err := proto.Marshal(sent)
	if err != nil {
		return nil, err
	}
	answer := &v2.ResourcesServiceListResourcesResponse{}
	return answer, proto.Unmarshal(encoded, answer)
}

// listAll reads all accounts as the SDK's syncer does: a later account of the
// same id replaces an earlier one.
func listAll(t *testing.T, connector types.ConnectorServer) (map[string]*v2.Resource, error) {
	t.Helper()
	accounts := map[string]*v2.Resource{}
	token := ""
	for range 1000 {
		list, next, err := listOnce(t.Context(), connector, token)
		if err != nil {
			return accounts, err
		}
		for _, account := range list {
			accounts[account.GetId().GetResource()] = account
		}
		if next == "" {
			return accounts, nil
		}
		token = next
	}
	require.Fail(t, "the listing does not end")
	return nil, nil
}

// listOne reads the only account of a service.
func listOne(t *testing.T, handler http.Handler) *v2.Resource {
	t.Helper()
	accounts, err := listAll(t, newConnector(t, start(t, handler)))
	require.NoError(t, err)
	require.Len(t, accounts, 1)
	for _, account := range accounts {
		return account
	}
	return nil
}

// listFails reads a service that cannot be read.
func listFails(t *testing.T, handler http.Handler) *status.Status {
	t.Helper()
	_, err := listAll(t, newConnector(t, start(t, handler)))
	return requireFailure(t, err)
}

// requireFailure is the status of an error of the package. No listing may answer
// NotFound: the SDK's syncer would take it for the end of the list.
func requireFailure(t *testing.T, err error) *status.Status {
	t.Helper()
	require.Error(t, err)
	st, ok := status.FromError(err)
	require.True(t, ok, "no gRPC status: %v", err)
	require.NotContains(t, []codes.Code{codes.OK, codes.Unknown, codes.NotFound}, st.Code(), "%v", err)
	return st
}

func requireIDs(t *testing.T, want []string, got map[string]*v2.Resource) {
	t.Helper()
	require.Equal(t, slices.Sorted(slices.Values(want)), slices.Sorted(maps.Keys(got)))
}

// requireAll wants an account of each of these ids, and may have more.
func requireAll(t *testing.T, want []string, got map[string]*v2.Resource) {
	t.Helper()
	missing := slices.DeleteFunc(slices.Clone(want), func(id string) bool { return got[id] != nil })
	require.Empty(t, missing)
}
