package scim_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/sandbox/raced"
	"github.com/batonhost/baton-host/scim"
	"github.com/batonhost/baton-host/scim/config"
)

func TestResourceType(t *testing.T) {
	t.Parallel()
	answer, err := newConnector(t, "https://app.example.com").ListResourceTypes(t.Context(), &v2.ResourceTypesServiceListResourceTypesRequest{})
	require.NoError(t, err)
	require.Len(t, answer.GetList(), 1)
	accounts := answer.GetList()[0]
	require.Equal(t, "user", accounts.GetId())
	require.Equal(t, "User", accounts.GetDisplayName())
	require.Equal(t, []v2.ResourceType_Trait{v2.ResourceType_TRAIT_USER}, accounts.GetTraits())
	annos := annotations.Annotations(accounts.GetAnnotations())
	require.True(t, annos.Contains(&v2.SkipEntitlementsAndGrants{}))
}

// TestValidate: one page of users is read and nothing else.
func TestValidate(t *testing.T) {
	t.Parallel()
	a := newApp(250)
	_, err := newConnector(t, start(t, a)+"/scim").Validate(t.Context(), &v2.ConnectorServiceValidateRequest{})
	require.NoError(t, err)
	require.Len(t, a.requests, 1)
	require.Equal(t, "/scim/Users", a.requests[0].http.URL.Path)
	require.Equal(t, "1", a.requests[0].http.URL.Query().Get("startIndex"))

	for name, c := range map[string]struct {
		handler http.Handler
		code    codes.Code
	}{
		"wrong token":       {serve(401, "", ""), codes.Unauthenticated},
		"HTML":              {serve(200, "text/html", "<html>"), codes.FailedPrecondition},
		"empty object":      {serve(200, "application/json", "{}"), codes.FailedPrecondition},
		"users but none":    {serve(200, "application/json", `{"totalResults":5,"Resources":[]}`), codes.DataLoss},
		"a user without id": {oneUser(`{"userName":"ann"}`), codes.DataLoss},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := newConnector(t, start(t, c.handler)).Validate(t.Context(), &v2.ConnectorServiceValidateRequest{})
			require.Equal(t, c.code, requireFailure(t, err).Code())
		})
	}
}

// TestDescribe: a connector without configuration reports what it is and reads
// nothing.
func TestDescribe(t *testing.T) {
	t.Parallel()
	connector, err := connectorbuilder.NewConnector(t.Context(), scim.Describe())
	require.NoError(t, err)
	answer, err := connector.GetMetadata(t.Context(), &v2.ConnectorServiceGetMetadataRequest{})
	require.NoError(t, err)
	require.Equal(t, "SCIM", answer.GetMetadata().GetDisplayName())
	require.NoError(t, answer.GetMetadata().Validate())
	require.Equal(t, []v2.Capability{v2.Capability_CAPABILITY_SYNC}, answer.GetMetadata().GetCapabilities().GetConnectorCapabilities())

	_, err = connector.Validate(t.Context(), &v2.ConnectorServiceValidateRequest{})
	require.Equal(t, codes.FailedPrecondition, requireFailure(t, err).Code())
	_, _, err = listOnce(t.Context(), connector, "")
	require.Equal(t, codes.FailedPrecondition, requireFailure(t, err).Code())
}

func TestNew(t *testing.T) {
	t.Parallel()
	builder, _, err := scim.New("v1.2.3")(t.Context(), &config.Scim{
		ScimBaseUrl: "https://app.example.com/scim/v2", ScimToken: testToken, ScimDisplayName: "Design Tool",
	}, nil)
	require.NoError(t, err)
	metadata, err := builder.Metadata(t.Context())
	require.NoError(t, err)
	require.Equal(t, "Design Tool", metadata.GetDisplayName())

	_, _, err = scim.New("v1.2.3")(t.Context(), &config.Scim{ScimToken: testToken}, nil)
	require.Equal(t, codes.InvalidArgument, requireFailure(t, err).Code())
}

// TestBatches: what the host gets is large, whatever the server's pages are, and
// bounded.
func TestBatches(t *testing.T) {
	t.Parallel()

	t.Run("pages of the server are gathered", func(t *testing.T) {
		t.Parallel()
		a := newApp(2345)
		a.cap = 30
		connector := newConnector(t, start(t, a))
		// The sizes of batches, and the longest time that one took.
		read := func() (sizes []int, longest time.Duration) {
			for token, more := "", true; more; more = token != "" {
				begin := time.Now()
				list, next, err := listOnce(t.Context(), connector, token)
				require.NoError(t, err)
				sizes, token, longest = append(sizes, len(list)), next, max(longest, time.Since(begin))
			}
			return sizes, longest
		}
		// A batch that takes long ends early, as on a machine that is too busy: then once
		// more.
		sizes, longest := read()
		for range 10 {
			if longest < 20*time.Second {
				break
			}
			sizes, longest = read()
		}
		require.Equal(t, []int{987, 986, 372}, sizes, "within %s", longest)
	})

	t.Run("P8 one page of everyone is split, and asked for again to know that it is everyone", func(t *testing.T) {
		t.Parallel()
		a := newApp(2500)
		a.answer = func(_ listRequest, _ map[string]any) map[string]any { return listAnswer(a.page(1, 2500), 2500, 1) }
		connector := newConnector(t, start(t, a))
		var sizes []int
		for token, more := "", true; more; more = token != "" {
			list, next, err := listOnce(t.Context(), connector, token)
			require.NoError(t, err)
			if len(list) > 0 {
				sizes = append(sizes, len(list))
			}
			token = next
		}
		require.Equal(t, []int{1000, 1000, 500}, sizes)
		require.Len(t, a.requests, 5)
	})

	t.Run("a batch stays below gRPC's 4 MiB", func(t *testing.T) {
		t.Parallel()
		var users []string
		for i := range 45 {
			users = append(users, fmt.Sprintf(`{"id":"%[1]d","userName":"u%[1]d","title":%[2]q}`, i, strings.Repeat("x", 100_000)))
		}
		connector := newConnector(t, start(t, userList(users...)))
		total := 0
		for token, more := "", true; more; more = token != "" {
			answer, err := connector.ListResources(t.Context(), v2.ResourcesServiceListResourcesRequest_builder{
				ResourceTypeId: "user", PageToken: token,
			}.Build())
			require.NoError(t, err)
			require.Less(t, proto.Size(answer), 3<<20)
			total += len(answer.GetList())
			token = answer.GetNextPageToken()
		}
		require.Equal(t, 45, total)
	})

	t.Run("H7 what was read before a failure is delivered", func(t *testing.T) {
		t.Parallel()
		a := newApp(500)
		var failing atomic.Bool // A request that was read ahead may still be there.
		failing.Store(true)
		connector := newConnector(t, start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if failing.Load() && r.URL.Query().Get("startIndex") == "298" {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			a.ServeHTTP(w, r)
		})))
		first, token, err := listOnce(t.Context(), connector, "")
		require.NoError(t, err)
		require.Len(t, first, 298)
		_, _, err = listOnce(t.Context(), connector, token)
		require.Equal(t, codes.Unavailable, requireFailure(t, err).Code())
		failing.Store(false)
		rest, token, err := listOnce(t.Context(), connector, token)
		require.NoError(t, err)
		require.Len(t, rest, 202)
		require.Empty(t, token)
	})
}

// TestPageToken: another process goes on from any token, and only from a token.
func TestPageToken(t *testing.T) {
	t.Parallel()

	for name, a := range map[string]*app{
		"server pages of 100": newApp(3210),
		"server pages of 30":  {ids: newApp(3210).ids, cap: 30},
		"one page of everyone": func() *app {
			a := newApp(3210)
			a.answer = func(_ listRequest, _ map[string]any) map[string]any { return listAnswer(a.page(1, 3210), 3210, 1) }
			return a
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			if name != "one page of everyone" {
				raced.LeaveOut(t)
			}
			t.Parallel()
			baseURL := start(t, a)
			var ids []string
			token := ""
			for {
				list, next, err := listOnce(t.Context(), newConnector(t, baseURL), token)
				require.NoError(t, err)
				for _, account := range list {
					// A pass that was resumed is confirmed by another.
					if id := account.GetId().GetResource(); !slices.Contains(ids, id) {
						ids = append(ids, id)
					}
				}
				if next == "" {
					break
				}
				require.Less(t, len(next), 400)
				token = next
			}
			require.Equal(t, a.ids, ids)
		})
	}

	for name, change := range map[string]func(ids []string) []string{
		"a page that changed in between is delivered whole":          func(ids []string) []string { return append([]string{"new"}, ids[:1499]...) },
		"a page in another order than before is delivered whole too": func(ids []string) []string { slices.Reverse(ids); return ids },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(1500)
			a.answer = func(_ listRequest, _ map[string]any) map[string]any {
				return listAnswer(a.page(1, 1500), len(a.ids), 1)
			}
			baseURL := start(t, a)
			_, token, err := listOnce(t.Context(), newConnector(t, baseURL), "")
			require.NoError(t, err)
			a.ids = change(a.ids)
			var ids []string
			for token != "" {
				var list []*v2.Resource
				list, token, err = listOnce(t.Context(), newConnector(t, baseURL), token)
				require.NoError(t, err)
				for _, account := range list {
					// A pass that was resumed is confirmed by another.
					if id := account.GetId().GetResource(); !slices.Contains(ids, id) {
						ids = append(ids, id)
					}
				}
			}
			require.Equal(t, a.ids, ids)
		})
	}

	for name, token := range map[string]string{
		"not JSON":           "101",
		"empty object":       "{}",
		"another version":    `{"v":1,"pass":1,"start":101}`,
		"unknown member":     `{"v":2,"pass":1,"start":101,"unknown":"x"}`,
		"start 0":            `{"v":2,"pass":1,"start":0}`,
		"negative skip":      `{"v":2,"pass":1,"start":1,"skip":-1}`,
		"negative total":     `{"v":2,"pass":1,"start":1,"total":-1}`,
		"too many passes":    `{"v":2,"pass":9,"start":1}`,
		"unknown sign":       `{"v":2,"pass":1,"start":1,"sign":99}`,
		"unknown fallback":   `{"v":2,"pass":1,"start":1,"bare":99}`,
		"more than one":      `{"v":2,"pass":1,"start":1}{}`,
		"of another service": "eyJvZmZzZXQiOjEwMH0=",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(10)
			_, _, err := listOnce(t.Context(), newConnector(t, start(t, a)), token)
			require.Equal(t, codes.InvalidArgument, requireFailure(t, err).Code())
			require.Empty(t, a.requests)
		})
	}
}

// TestList_Cancelled: a listing ends at once when its caller has gone.
func TestList_Cancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	a := newApp(500)
	a.hook = func(_ *app, r listRequest) {
		if r.number == 2 {
			cancel()
			<-r.http.Context().Done()
		}
	}
	_, _, err := listOnce(ctx, newConnector(t, start(t, a)), "")
	require.Equal(t, codes.Canceled, requireFailure(t, err).Code())
}
