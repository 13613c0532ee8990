package aggregate_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
)

// requestLog notes the page tokens that a plugin is asked for, and reports each.
type requestLog struct {
	mu       sync.Mutex
	tokens   []string
	requests chan string
}

func newRequestLog() *requestLog { return &requestLog{requests: make(chan string, 100)} }

func (a *requestLog) interference(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
	if page, ok := request.(*v2.ResourcesServiceListResourcesRequest); ok {
		a.mu.Lock()
		a.tokens = append(a.tokens, page.GetPageToken())
		a.mu.Unlock()
		a.requests <- page.GetPageToken()
	}
	return handler(ctx, request)
}

func (a *requestLog) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.tokens...)
}

// await waits until the plugin is asked for the page at a token.
func (a *requestLog) await(t *testing.T, token string) {
	t.Helper()
	select {
	case got := <-a.requests:
		require.Equal(t, token, got)
	case <-time.After(time.Minute):
		require.FailNow(t, "the page was not asked for", "at %q; asked for: %q", token, a.all())
	}
}

func listed(ctx context.Context, a *aggregate.Aggregate, token string) (rows []string, next string, err error) {
	page, err := a.Client(ctx).ListResources(ctx, v2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: "a.user", PageToken: token}.Build())
	for _, row := range page.GetList() {
		rows = append(rows, row.GetId().GetResource())
	}
	return rows, page.GetNextPageToken(), err
}

// TestReadAhead_AsksForPagesAheadOfNeed: with a page delivered, so many of the following
// ones are asked for, and no more, until the next page is fetched.
func TestReadAhead_AsksForPagesAheadOfNeed(t *testing.T) {
	t.Parallel()
	for ahead := range 4 {
		t.Run(fmt.Sprint(ahead), func(t *testing.T) {
			t.Parallel()
			asked := newRequestLog()
			a := aggregateOf(t, []aggregate.Plugin{{Instance: "a", Namespace: "a", Conn: serve(t, users(11), asked.interference), ReadAhead: ahead}})
			within := min(ahead, policy.MostReadAhead)
			var all, want []string
			pages := 0
			for token, more := "", true; more; more = token != "" {
				rows, next, err := listed(t.Context(), a, token)
				require.NoError(t, err)
				all, token = append(all, rows...), next
				pages++
				for len(want) < min(pages+within, 6) {
					want = append(want, map[bool]string{true: "", false: fmt.Sprint(2 * len(want))}[len(want) == 0])
					asked.await(t, want[len(want)-1])
				}
			}
			require.Len(t, all, 11)
			a.Close()
			require.Equal(t, want, asked.all(), "and no page twice")
		})
	}
}

// TestReadAhead_StopsAtAnError: the error of a page that was asked for ahead of
// need is the first attempt of the call for it, and what is behind is asked for only
// when the page has come.
func TestReadAhead_StopsAtAnError(t *testing.T) {
	t.Parallel()
	for ahead := 1; ahead <= policy.MostReadAhead; ahead++ {
		for _, tc := range []struct {
			name     string
			code     codes.Code
			attempts int
			want     []string
		}{
			{"that lasts", codes.PermissionDenied, 3, []string{"", "2"}},
			{"that passes", codes.Unavailable, 3, []string{"", "2", "2", "4"}},
			{"with no other attempt", codes.Unavailable, 1, []string{"", "2"}},
		} {
			t.Run(fmt.Sprintf("%s, %d ahead", tc.name, ahead), func(t *testing.T) {
				t.Parallel()
				asked := newRequestLog()
				var once sync.Once
				conn := serve(t, users(6), asked.interference, func(ctx context.Context, _ string, request any, handler grpc.UnaryHandler) (any, error) {
					failed := false
					if page, ok := request.(*v2.ResourcesServiceListResourcesRequest); ok && page.GetPageToken() == "2" {
						once.Do(func() { failed = true })
					}
					if failed {
						return nil, status.Error(tc.code, "not now")
					}
					return handler(ctx, request)
				})
				a, err := aggregate.New([]aggregate.Plugin{{Instance: "a", Namespace: "a", Conn: conn, ReadAhead: ahead}},
					aggregate.WithRetry(policy.Retries{MaxAttempts: tc.attempts, InitialDelay: time.Millisecond}))
				require.NoError(t, err)
				t.Cleanup(a.Close)

				_, token, err := listed(t.Context(), a, "")
				require.NoError(t, err)
				rows, _, err := listed(t.Context(), a, token)
				if len(tc.want) == 2 {
					require.ErrorContains(t, err, "not now")
				} else {
					require.NoError(t, err)
					require.Equal(t, []string{"u3", "u4"}, rows)
					for _, token := range tc.want {
						asked.await(t, token)
					}
				}
				a.Close()
				require.Equal(t, tc.want, asked.all())
			})
		}
	}
}

// TestReadAhead_EndsWithClose: a plugin that does not answer holds nothing up, and
// calls that come later are answered without reading ahead.
func TestReadAhead_EndsWithClose(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	var once sync.Once
	asked := newRequestLog()
	conn := serve(t, users(6), asked.interference, func(ctx context.Context, _ string, request any, handler grpc.UnaryHandler) (any, error) {
		hangs := false
		if page, ok := request.(*v2.ResourcesServiceListResourcesRequest); ok && page.GetPageToken() == "2" {
			once.Do(func() { hangs = true })
		}
		if hangs {
			<-ctx.Done()
			close(ended)
			return nil, ctx.Err()
		}
		return handler(ctx, request)
	})
	a := aggregateOf(t, []aggregate.Plugin{{Instance: "a", Namespace: "a", Conn: conn, ReadAhead: 1}})
	_, token, err := listed(t.Context(), a, "")
	require.NoError(t, err)
	asked.await(t, "")
	asked.await(t, token)

	waiting, stop := context.WithCancel(t.Context())
	stop()
	_, _, err = listed(waiting, a, token)
	require.Equal(t, codes.Canceled, status.Code(err))
	a.Close()
	<-ended
	rows, _, err := listed(t.Context(), a, token)
	require.NoError(t, err)
	require.Equal(t, []string{"u3", "u4"}, rows)
	require.Equal(t, []string{"", "2", "2"}, asked.all())
}
