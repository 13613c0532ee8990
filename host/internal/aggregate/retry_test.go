package aggregate_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/ratelimit"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
)

// log is an observer that keeps what is reported to it.
type log struct {
	mu        sync.Mutex
	pages     []aggregate.Page
	retries   []aggregate.Retry
	onRetry   func()
	fallbacks []aggregate.Fallback
	skipped   []aggregate.Skipped
}

func (l *log) Listed(p aggregate.Page) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pages = append(l.pages, p)
}

func (l *log) FellBack(f aggregate.Fallback) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fallbacks = append(l.fallbacks, f)
}

func (l *log) Skipped(s aggregate.Skipped) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.skipped = append(l.skipped, s)
}

func (l *log) Retrying(r aggregate.Retry) {
	l.mu.Lock()
	l.retries = append(l.retries, r)
	l.mu.Unlock()
	if l.onRetry != nil {
		l.onRetry()
	}
}

// quick retries without making a test wait.
var quick = policy.Retries{MaxAttempts: 4, InitialDelay: time.Millisecond, MaxDelay: 2 * time.Millisecond}

// failing answers calls of a method with the errors in turn, the last one for
// ever; nil lets a call through.
func failing(method string, errs ...func() error) interference {
	calls := make(chan int, 1)
	calls <- 0
	return func(ctx context.Context, called string, request any, handler grpc.UnaryHandler) (any, error) {
		if called != method {
			return handler(ctx, request)
		}
		n := <-calls
		calls <- n + 1
		if err := errs[min(n, len(errs)-1)](); err != nil {
			return nil, err
		}
		return handler(ctx, request)
	}
}

func fine() error { return nil }

func code(c codes.Code, text string) func() error {
	return func() error { return status.Error(c, text) }
}

// limited is what the SDK's HTTP client makes of a 429.
func limited(c codes.Code, d time.Duration) func() error {
	return func() error {
		st, err := status.New(c, "429 Too Many Requests").WithDetails(v2.RateLimitDescription_builder{
			Status: v2.RateLimitDescription_STATUS_OVERLIMIT, ResetAt: timestamppb.New(time.Now().Add(d)),
		}.Build())
		if err != nil {
			return err
		}
		return st.Err()
	}
}

const listResources = v2.ResourcesService_ListResources_FullMethodName

func TestRetries_AnOutageThatPassesCostsNothing(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 4} {
		seen := &log{}
		outage := failing(listResources, fine, code(codes.Unavailable, "down"), code(codes.DeadlineExceeded, "slow"), fine)
		client := of(t, map[string]grpc.ClientConnInterface{"a": serve(t, users(5), outage), "b": serve(t, users(1))},
			aggregate.WithRetry(quick), aggregate.WithObserver(seen))
		path, err := synced(t.Context(), t, client, workers)
		require.NoError(t, err)
		require.Equal(t, []string{"a.user/u1", "a.user/u2", "a.user/u3", "a.user/u4", "a.user/u5", "b.user/u1"}, read(t, path).resourceIDs())
		require.Len(t, seen.retries, 2)
		require.Equal(t, "a", seen.retries[0].Instance)
		require.Equal(t, "ListResources", seen.retries[0].Method)
		require.Equal(t, []int{1, 2}, []int{seen.retries[0].Attempt, seen.retries[1].Attempt})
		require.ErrorContains(t, seen.retries[0].Err, "down")
	}
}

func TestObserver_SeesEveryPage(t *testing.T) {
	t.Parallel()
	seen := &log{}
	client := of(t, map[string]grpc.ClientConnInterface{"a": serve(t, users(3)), "b": serve(t, typed("thing"))}, aggregate.WithObserver(seen))
	_, err := synced(t.Context(), t, client, 1)
	require.NoError(t, err)
	require.ElementsMatch(t, []aggregate.Page{
		{Instance: "a", ResourceTypeID: "a.user", Accounts: true, Rows: 2},
		{Instance: "a", ResourceTypeID: "a.user", Accounts: true, Rows: 1, Done: true},
		{Instance: "b", ResourceTypeID: "b.thing", Done: true},
	}, seen.pages)

	seen = &log{}
	things := typed("thing")
	things.types[0].resources = []*v2.Resource{v2.Resource_builder{
		Id: v2.ResourceId_builder{ResourceType: "thing", Resource: "t1"}.Build(), DisplayName: "T",
	}.Build()}
	_, err = synced(t.Context(), t, of(t, map[string]grpc.ClientConnInterface{"a": serve(t, things)}, aggregate.WithObserver(seen)), 1)
	require.NoError(t, err)
	require.Contains(t, seen.pages, aggregate.Page{Instance: "a", ResourceTypeID: "a.thing", Entitlements: true, Done: true})
	require.Contains(t, seen.pages, aggregate.Page{Instance: "a", ResourceTypeID: "a.thing", Grants: true, Done: true})
}

// TestRetries_AnOutageThatStaysEndsTheSync: alone, the SDK's syncer would retry for ever.
func TestRetries_AnOutageThatStaysEndsTheSync(t *testing.T) {
	t.Parallel()
	for _, method := range []string{
		v2.ConnectorService_Validate_FullMethodName, v2.ResourceTypesService_ListResourceTypes_FullMethodName, listResources,
		v2.EntitlementsService_ListEntitlements_FullMethodName, v2.EntitlementsService_ListStaticEntitlements_FullMethodName,
		v2.GrantsService_ListGrants_FullMethodName,
	} {
		for _, c := range []codes.Code{codes.Unavailable, codes.DeadlineExceeded} {
			t.Run(method+" "+c.String(), func(t *testing.T) {
				t.Parallel()
				client := of(t, map[string]grpc.ClientConnInterface{
					"a": serve(t, users(1)), "c": serve(t, crm(t), failing(method, code(c, "out of order"))),
				}, aggregate.WithRetry(quick))
				_, err := synced(t.Context(), t, client, 4)
				require.ErrorContains(t, err, `plugin "c": `)
				require.ErrorContains(t, err, "gave up after 4 attempts in ")
				require.ErrorContains(t, err, ": out of order")
				require.Equal(t, codes.Aborted, status.Code(err))
			})
		}
	}
}

func TestRetries_AnotherErrorIsNotRetried(t *testing.T) {
	t.Parallel()
	for _, c := range []codes.Code{codes.PermissionDenied, codes.Internal, codes.ResourceExhausted, codes.Unknown} {
		seen := &log{}
		client := of(t, map[string]grpc.ClientConnInterface{"a": serve(t, users(1), failing(listResources, code(c, "no")))},
			aggregate.WithRetry(quick), aggregate.WithObserver(seen))
		_, err := synced(t.Context(), t, client, 1)
		require.Equal(t, c, status.Code(err))
		require.Empty(t, seen.retries)
	}
}

func TestRetries_AChangeIsNeverRepeated(t *testing.T) {
	t.Parallel()
	const method = v2.ResourceDeleterService_DeleteResourceV2_FullMethodName
	seen := &log{}
	client := of(t, map[string]grpc.ClientConnInterface{"a": serve(t, users(1), failing(method, code(codes.Unavailable, "down")))},
		aggregate.WithRetry(quick), aggregate.WithObserver(seen))
	_, err := client.DeleteResourceV2(t.Context(), v2.DeleteResourceV2Request_builder{
		ResourceId: v2.ResourceId_builder{ResourceType: "a.user", Resource: "u1"}.Build(),
	}.Build())
	require.Equal(t, codes.Unavailable, status.Code(err), "its code survives")
	require.EqualError(t, err, `plugin "a": deleting user "u1": down`)
	require.Empty(t, seen.retries)
}

func TestRetries_CancelingEndsAWaitAtOnce(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]func() error{
		"back-off":   code(codes.Unavailable, "down"),
		"rate limit": limited(codes.Unavailable, time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			// The wait is hours: the test ends only if cancelling ends it.
			client := of(t, map[string]grpc.ClientConnInterface{"a": serve(t, users(1), failing(listResources, failure))},
				aggregate.WithRetry(policy.Retries{InitialDelay: 10 * time.Hour, MaxDelay: 10 * time.Hour, MaxElapsed: 100 * time.Hour, MaxRateLimitWait: 100 * time.Hour}),
				aggregate.WithObserver(&log{onRetry: cancel}))
			_, err := synced(ctx, t, client, 4)
			require.Equal(t, codes.Canceled, status.Code(err))
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorContains(t, err, `plugin "a": listing resources of type "user"`)
		})
	}
}

// list asks for the users of plugin a.
func list(ctx context.Context, t *testing.T, policy policy.Retries, seen *log, interfere interference) error {
	t.Helper()
	conn := serve(t, users(1), interfere)
	_, err := of(t, map[string]grpc.ClientConnInterface{"a": conn}, aggregate.WithRetry(policy), aggregate.WithObserver(seen)).
		ListResources(ctx, v2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: "a.user"}.Build())
	return err
}

func (l *log) waits() []time.Duration {
	var waits []time.Duration
	for _, r := range l.retries {
		waits = append(waits, r.Wait)
	}
	return waits
}

// The tests from here on run on a clock that jumps over every wait.

func TestRetries_BackOffDoublesUpToItsLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := &log{}
		var waited []ratelimit.WaitEvent
		ctx := ratelimit.WithWaitObserver(t.Context(), func(_ context.Context, e ratelimit.WaitEvent) { waited = append(waited, e) })
		err := list(ctx, t, policy.Retries{}, seen, failing(listResources, code(codes.Unavailable, "down")))
		require.Equal(t, codes.Aborted, status.Code(err))
		require.ErrorContains(t, err, `plugin "a": listing resources of type "user": gave up after 8 attempts in `)
		waits := seen.waits()
		require.Len(t, waits, 7)
		for i, seconds := range []int{1, 2, 4, 8, 16, 32, 60} {
			longest := time.Duration(seconds) * time.Second
			require.GreaterOrEqual(t, waits[i], longest/2)
			require.LessOrEqual(t, waits[i], longest)
		}
		require.Len(t, waited, 7, "the syncer's statistics know of the waits")
		for i, e := range waited {
			require.True(t, e.Retry)
			require.Equal(t, waits[i], e.Duration)
		}
	})
}

func TestRetries_EndWithTheirTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := &log{}
		start := time.Now()
		err := list(t.Context(), t, policy.Retries{MaxAttempts: 1000, MaxElapsed: 5 * time.Minute}, seen, failing(listResources, code(codes.Unavailable, "down")))
		require.Equal(t, codes.Aborted, status.Code(err))
		require.LessOrEqual(t, time.Since(start), 5*time.Minute)
		require.Greater(t, time.Since(start), 3*time.Minute)
	})
}

func TestRetries_AnAttemptHasALimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hanging := func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
			if method == listResources {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return handler(ctx, request)
		}
		seen := &log{}
		start := time.Now()
		err := list(t.Context(), t, policy.Retries{}, seen, hanging)
		require.Equal(t, codes.Aborted, status.Code(err))
		require.ErrorContains(t, err, "gave up after 3 attempts in 30m")
		require.ErrorContains(t, err, "no answer within 10m0s")
		require.Greater(t, time.Since(start), 30*time.Minute)
	})
}

func TestRetries_TheCallersOwnDeadlineKeepsItsCode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		err := list(ctx, t, policy.Retries{}, &log{}, failing(listResources, code(codes.Unavailable, "down")))
		require.Equal(t, codes.DeadlineExceeded, status.Code(err))
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestRateLimit_DecidesTheWait(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]codes.Code{"as the SDK says it": codes.Unavailable, "as others do": codes.ResourceExhausted} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				seen := &log{}
				start := time.Now()
				// Far longer than the time for retries and the time for a call.
				policy := policy.Retries{MaxAttempts: 1, MaxElapsed: time.Minute, CallTimeout: time.Minute, MaxRateLimitWait: 2 * time.Hour}
				err := list(t.Context(), t, policy, seen, failing(listResources, limited(c, 50*time.Minute), limited(c, 20*time.Minute), fine))
				require.NoError(t, err)
				waits := seen.waits()
				require.Len(t, waits, 2)
				require.InDelta(t, 50*60, waits[0].Seconds(), 1)
				require.InDelta(t, 20*60, waits[1].Seconds(), 1)
				require.GreaterOrEqual(t, time.Since(start), 70*time.Minute, "not before the reset")
			})
		})
	}
}

func TestRateLimit_ThatAsksForTooMuchFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := &log{}
		start := time.Now()
		err := list(t.Context(), t, policy.Retries{}, seen, failing(listResources, limited(codes.Unavailable, 24*time.Hour)))
		require.Equal(t, codes.Aborted, status.Code(err))
		require.ErrorContains(t, err, "gave up after 1 attempt in ")
		require.ErrorContains(t, err, "as the app's rate limit asks for another 24h0m")
		require.ErrorContains(t, err, "429 Too Many Requests")
		require.Less(t, time.Since(start), time.Minute, "at once")

		// However often it asks for little.
		start = time.Now()
		err = list(t.Context(), t, policy.Retries{}, seen, failing(listResources, limited(codes.Unavailable, time.Minute)))
		require.Equal(t, codes.Aborted, status.Code(err))
		require.LessOrEqual(t, time.Since(start), 90*time.Minute)
	})
}

func TestRateLimit_WithRequestsLeftIsNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := &log{}
		left := func() error {
			st, err := status.New(codes.Unavailable, "503 Service Unavailable").WithDetails(v2.RateLimitDescription_builder{
				Status: v2.RateLimitDescription_STATUS_OK, Remaining: 4999, ResetAt: timestamppb.New(time.Now().Add(time.Hour)),
			}.Build())
			require.NoError(t, err)
			return st.Err()
		}
		require.NoError(t, list(t.Context(), t, policy.Retries{}, seen, failing(listResources, left, fine)))
		require.LessOrEqual(t, slices.Max(seen.waits()), time.Second)
	})
}

func TestPluginError_CanceledDoesNotPassForTheCaller(t *testing.T) {
	t.Parallel()
	err := list(t.Context(), t, quick, &log{}, failing(listResources, code(codes.Canceled, "context canceled")))
	require.Equal(t, codes.Aborted, status.Code(err))
	require.EqualError(t, err, `plugin "a": listing resources of type "user": the plugin broke the call off: context canceled`)
}
