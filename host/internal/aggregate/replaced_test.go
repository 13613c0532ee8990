package aggregate_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
)

// endedError is what a supervised connection answers if the process ends under
// a call (supervise.ExitError).
type endedError struct{}

func (endedError) Error() string              { return "the process ended" }
func (endedError) GRPCStatus() *status.Status { return status.New(codes.Aborted, "the process ended") }
func (endedError) Replaced() bool             { return true }

// ending is a connection whose first calls of a method end with their process.
type ending struct {
	grpc.ClientConnInterface
	method string
	times  chan struct{}
}

func newEnding(conn grpc.ClientConnInterface, method string, times int) *ending {
	e := &ending{ClientConnInterface: conn, method: method, times: make(chan struct{}, times)}
	for range times {
		e.times <- struct{}{}
	}
	return e
}

func (e *ending) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	if method == e.method {
		select {
		case <-e.times:
			return endedError{}
		default:
		}
	}
	return e.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
}

// once tries everything once.
var once = aggregate.WithRetry(policy.Retries{MaxAttempts: 1})

func TestReplacedProcess_SyncGoesOnWithTheNext(t *testing.T) {
	t.Parallel()
	for _, method := range []string{
		listResources,
		v2.ResourceTypesService_ListResourceTypes_FullMethodName,
		v2.EntitlementsService_ListStaticEntitlements_FullMethodName,
		v2.ConnectorService_Validate_FullMethodName,
	} {
		t.Run(method[strings.LastIndex(method, "/")+1:], func(t *testing.T) {
			t.Parallel()
			seen := &log{}
			conn := newEnding(serve(t, users(5)), method, 2)
			file, err := synced(t.Context(), t, of(t, map[string]grpc.ClientConnInterface{"a": conn}, once, aggregate.WithObserver(seen)), 1)
			require.NoError(t, err)
			require.NotEmpty(t, file)
			require.Empty(t, conn.times)
			require.Len(t, seen.retries, 2)
			require.Zero(t, seen.retries[0].Wait, "the connection waits for the next process")
		})
	}
}

func TestReplacedProcess_CallThatEndsEveryOneFails(t *testing.T) {
	t.Parallel()
	seen := &log{}
	conn := newEnding(serve(t, users(5)), listResources, 100)
	_, err := synced(t.Context(), t, of(t, map[string]grpc.ClientConnInterface{"a": conn}, once, aggregate.WithObserver(seen)), 1)
	require.Equal(t, codes.Aborted, status.Code(err))
	require.ErrorContains(t, err, `plugin "a": listing resources of type "user": gave up after 3 attempts`)
	require.ErrorContains(t, err, "the process ended")
	require.Len(t, seen.retries, 2)
}

func TestReplacedProcess_ChangeIsNotRepeated(t *testing.T) {
	t.Parallel()
	const method = v2.ResourceDeleterService_DeleteResourceV2_FullMethodName
	conn := newEnding(serve(t, users(1)), method, 1)
	_, err := of(t, map[string]grpc.ClientConnInterface{"a": conn}, once).DeleteResourceV2(t.Context(), v2.DeleteResourceV2Request_builder{
		ResourceId: v2.ResourceId_builder{ResourceType: "a.user", Resource: "u1"}.Build(),
	}.Build())
	require.Equal(t, codes.Aborted, status.Code(err))
	require.EqualError(t, err, `plugin "a": deleting user "u1": it broke off, and whether the app did it is not known: the process ended`)
}

func TestListings_WithoutRowsEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limited bool // by the app, which does not count
		rows    bool
		fails   bool
	}{
		"only page tokens":                      {fails: true},
		"page tokens and rows":                  {rows: true},
		"the app's rate limit between the rows": {limited: true, rows: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				pages := 0
				limit := c.limited
				answer := func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
					if method != listResources {
						return handler(ctx, request)
					}
					if limit {
						limit = false
						return nil, limited(codes.Unavailable, time.Hour)()
					}
					limit = c.limited
					pages++
					time.Sleep(4 * time.Minute)
					page := v2.ResourcesServiceListResourcesResponse_builder{NextPageToken: strings.Repeat("x", pages)}.Build()
					if c.rows && pages%2 == 0 {
						page.SetList(users(1).types[0].resources)
					}
					if pages == 8 && !c.fails {
						page.SetNextPageToken("")
					}
					return page, nil
				}
				a, err := aggregate.New([]aggregate.Plugin{{Instance: "a", Namespace: "a", Conn: serve(t, users(1), answer), IdleTimeout: 10 * time.Minute}},
					aggregate.WithRetry(policy.Retries{MaxRateLimitWait: 24 * time.Hour}))
				require.NoError(t, err)
				client := a.Client(t.Context())
				token := ""
				for {
					var page *v2.ResourcesServiceListResourcesResponse
					page, err = client.ListResources(t.Context(), v2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: "a.user", PageToken: token}.Build())
					token = page.GetNextPageToken()
					if token == "" {
						break
					}
				}
				if !c.fails {
					require.NoError(t, err)
					require.Equal(t, 8, pages)
					return
				}
				require.Equal(t, codes.Aborted, status.Code(err))
				require.ErrorContains(t, err, `plugin "a": listing resources of type "user": it has given no row for 10m0s of its time, only page tokens`)
				require.Equal(t, 3, pages)
			})
		})
	}
}
