package policy

import (
	"context"
	"errors"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/internal/errtext"
)

// rotatingApp is an app, and the credentials of its plugin: it refuses versions below the
// first that is valid, and a search finds the next one as long as there are some.
type rotatingApp struct {
	grpc.ClientConnInterface

	refusal      error
	valid        uint64
	version      uint64
	newest       uint64
	calls, looks int
}

func (a *rotatingApp) Invoke(_ context.Context, _ string, _, reply any, _ ...grpc.CallOption) error {
	a.calls++
	if page, ok := reply.(*v2.ResourcesServiceListResourcesResponse); ok {
		page.SetNextPageToken("left by a call")
		if a.version >= a.valid {
			proto.Merge(page, v2.ResourcesServiceListResourcesResponse_builder{List: []*v2.Resource{{}}}.Build())
		}
	}
	if a.version < a.valid {
		return a.refusal
	}
	return nil
}

func (a *rotatingApp) Version() uint64 { return a.version }

func (a *rotatingApp) Renew(context.Context, uint64) error {
	a.looks++
	if a.version == a.newest {
		return errors.New("its secrets have not changed")
	}
	a.version++
	return nil
}

func TestRenewing_RepeatsARefusedCallWithNewerCredentials(t *testing.T) {
	t.Parallel()
	unauthenticated := status.Error(codes.Unauthenticated, "the token is not accepted")
	const list, grant = v2.ResourcesService_ListResources_FullMethodName, v2.GrantManagerService_Grant_FullMethodName
	for _, tc := range []struct {
		name         string
		app          rotatingApp
		method       string
		calls, looks int
		code         codes.Code
		failing      string
		public       string // what is shown without a login
	}{
		{name: "nothing is refused", method: list, calls: 1},
		{name: "one rotation", app: rotatingApp{valid: 1, newest: 1, refusal: unauthenticated}, method: list, calls: 2, looks: 1},
		{name: "two at once", app: rotatingApp{valid: 2, newest: 2, refusal: unauthenticated}, method: list, calls: 3, looks: 2},
		{
			name: "refused for ever", app: rotatingApp{valid: 100, newest: 100, refusal: unauthenticated}, method: list,
			calls: mostRenewals + 1, looks: mostRenewals, code: codes.Unauthenticated,
			failing: "the token is not accepted; the app has refused 10 newer credentials too, one after the other; they must stay valid for longer than one call takes",
			public:  "the credentials are refused; the app has refused 10 newer credentials too, one after the other; they must stay valid for longer than one call takes",
		},
		{
			name: "nothing newer", app: rotatingApp{valid: 1, refusal: unauthenticated}, method: list,
			calls: 1, looks: 1, code: codes.Unauthenticated, failing: "the token is not accepted; its secrets have not changed",
			public: "the credentials are refused",
		},
		{
			name: "a status of HTTP in a text", app: rotatingApp{valid: 1, newest: 1, refusal: status.Error(codes.Unknown, "GET /users: unexpected status 401")},
			method: list, calls: 2, looks: 1,
		},
		{
			name: "another failure", app: rotatingApp{valid: 1, newest: 1, refusal: status.Error(codes.Unavailable, "401 or so")},
			method: list, calls: 1, code: codes.Unavailable, failing: "401 or so",
			public: "it cannot be reached, or is out of order",
		},
		{
			name: "a change of the app is not repeated", app: rotatingApp{valid: 1, newest: 1, refusal: unauthenticated}, method: grant,
			calls: 1, looks: 1, code: codes.Unauthenticated, failing: "the token is not accepted",
			public: "the credentials are refused",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			app := tc.app
			reply := &v2.ResourcesServiceListResourcesResponse{}
			err := Renewing("a", &app, &app).Invoke(t.Context(), tc.method, &v2.ResourcesServiceListResourcesRequest{}, reply)
			require.Equal(t, tc.calls, app.calls)
			require.Equal(t, tc.looks, app.looks)
			require.Equal(t, tc.code, status.Code(err), "%v", err)
			if tc.failing != "" {
				require.Equal(t, tc.failing, Message(err))
				require.Equal(t, tc.public, errtext.Public(err))
				return
			}
			require.NoError(t, err)
			require.Len(t, reply.GetList(), 1)
		})
	}
}

// TestRenewing_OfAPageThatWasReadAhead: also such a page is repeated.
func TestRenewing_OfAPageThatWasReadAhead(t *testing.T) {
	t.Parallel()
	app := &rotatingApp{valid: 1, newest: 1, refusal: status.Error(codes.Unauthenticated, "no")}
	ahead := NewReadAhead(Renewing("a", app, app), Retries{}.WithDefaults(), 1)
	defer ahead.Close()
	const method = v2.ResourcesService_ListResources_FullMethodName
	request := v2.ResourcesServiceListResourcesRequest_builder{PageToken: "2"}.Build()
	key, ok := keyOf(method, request)
	require.True(t, ok)
	ahead.Next(t.Context(), method, &NextPage{request: request, key: key}, &v2.ResourcesServiceListResourcesResponse{}, nil)
	page := ahead.Take(method, request)
	require.NotNil(t, page)
	_, err := page.Wait(t.Context(), &v2.ResourcesServiceListResourcesResponse{})
	require.NoError(t, err)
	require.Equal(t, 2, app.calls)
}
