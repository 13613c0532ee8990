package aggregate_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/dotc1z"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/sandbox/raced"
)

var asOf = time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)

// aggregateOf is an aggregate of these plugins without retries.
func aggregateOf(t testing.TB, plugins []aggregate.Plugin, opts ...aggregate.Option) *aggregate.Aggregate {
	t.Helper()
	a, err := aggregate.New(plugins, append(opts, aggregate.WithRetry(policy.Retries{MaxAttempts: 1}))...)
	require.NoError(t, err)
	t.Cleanup(a.Close)
	return a
}

// generation is a finished sync and what is remembered of it.
type generation struct {
	path      string
	aggregate *aggregate.Aggregate
}

func firstGeneration(t testing.TB, plugins []aggregate.Plugin, workers int) generation {
	t.Helper()
	a := aggregateOf(t, plugins)
	path, err := synced(t.Context(), t, a.Client(t.Context()), workers)
	require.NoError(t, err)
	require.Empty(t, a.Stale())
	return generation{path, a}
}

// baseline returns a plugin's part of the generation, open until the test ends.
func (g generation) baseline(t testing.TB, instance string) *baseline.Plugin {
	t.Helper()
	store, err := dotc1z.NewStore(t.Context(), g.path, dotc1z.WithReadOnly(true), dotc1z.WithTmpDir(t.TempDir()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close(context.Background())) })
	latest, err := store.SyncMeta().LatestFullSync(t.Context())
	require.NoError(t, err)
	require.NoError(t, store.SetCurrentSync(t.Context(), latest.ID))
	facts := g.aggregate.Facts(instance)
	facts.Elsewhere = nil // as of an older record
	return &baseline.Plugin{File: store, Facts: facts, AsOf: asOf}
}

// failsFrom lets a number of calls of a sync through and fails all later ones.
// Validate counts; Cleanup does not.
func failsFrom(n int64, calls *atomic.Int64, failure error) interference {
	return func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
		if method == v2.ConnectorService_Cleanup_FullMethodName {
			return handler(ctx, request)
		}
		if call := calls.Add(1); call > n {
			return nil, failure
		}
		return handler(ctx, request)
	}
}

// calls are those that a sync makes of an app, by method, in their order; Cleanup is
// none of them.
type calls struct {
	mu      sync.Mutex
	methods []string
}

// note is an interference that changes nothing.
func (c *calls) note(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
	if method != v2.ConnectorService_Cleanup_FullMethodName {
		c.mu.Lock()
		c.methods = append(c.methods, method)
		c.mu.Unlock()
	}
	return handler(ctx, request)
}

// choice is the numbers, from 0, of the calls at which a test fails an app.
type choice func(c *calls) []int64

// every is what the long tests choose.
func every(c *calls) []int64 {
	numbers := make([]int64, len(c.methods))
	for i := range numbers {
		numbers[i] = int64(i)
	}
	return numbers
}

// firstOfEach method: nothing is known yet of what it lists.
func firstOfEach(c *calls) []int64 {
	return slices.DeleteFunc(every(c), func(n int64) bool { return slices.Contains(c.methods[:n], c.methods[n]) })
}

// lastOfEach method: all but the end of what it lists is known.
func lastOfEach(c *calls) []int64 {
	return slices.DeleteFunc(every(c), func(n int64) bool { return slices.Contains(c.methods[n+1:], c.methods[n]) })
}

// TestFallback_WhereverAPluginFails has an app fail at a call that a sync
// makes of it: what comes out is always all of it, and what the other app has now.
// TestLongFallback_WhereverAPluginFails takes each call, first to last.
func TestFallback_WhereverAPluginFails(t *testing.T) {
	t.Parallel()
	if raced.IsShort() {
		failsAnywhere(t, map[int]choice{4: halfway})
		return
	}
	failsAnywhere(t, map[int]choice{1: firstOfEach, 4: lastOfEach})
}

// failsAnywhere takes the calls by the number of workers.
func failsAnywhere(t *testing.T, at map[int]choice) {
	t.Helper()
	for workers, choose := range at {
		t.Run(fmt.Sprintf("%d workers", workers), func(t *testing.T) {
			t.Parallel()
			made := &calls{}
			conn := serve(t, crm(t), made.note)
			before := firstGeneration(t, []aggregate.Plugin{
				{Instance: "c", Namespace: "c", Conn: conn}, {Instance: "b", Namespace: "b", Conn: serve(t, users(3))},
			}, workers)
			require.Greater(t, len(made.methods), 20)
			numbers := choose(made)
			want := read(t, firstGeneration(t, []aggregate.Plugin{
				{Instance: "c", Namespace: "c", Conn: conn}, {Instance: "b", Namespace: "b", Conn: serve(t, users(4))},
			}, workers).path).lines(t, "-")

			for i, n := range numbers {
				var count atomic.Int64
				plugins := []aggregate.Plugin{
					{
						Instance: "c", Namespace: "c", Baseline: before.baseline(t, "c"), ReadAhead: int(n % 3),
						Conn: serve(t, crm(t), failsFrom(n, &count, status.Error(codes.PermissionDenied, "not today"))),
					},
					{Instance: "b", Namespace: "b", Conn: serve(t, users(4)), Baseline: before.baseline(t, "b")},
				}
				a := aggregateOf(t, plugins)
				path, err := synced(t.Context(), t, a.Client(t.Context()), workers)
				require.NoError(t, err, "failing at call %d", n+1)
				require.Equal(t, want, read(t, path).lines(t, "-"), "failing at call %d", n+1)
				stale := a.Stale()
				require.Len(t, stale, 1)
				require.Equal(t, "c", stale[0].Instance)
				require.Equal(t, asOf, stale[0].AsOf)
				require.ErrorContains(t, stale[0].Err, "not today")

				if i%3 != 0 {
					continue // To spare time.
				}
				// What was fallen back to can be again.
				again := generation{path, a}
				plugins[0].Conn, plugins[0].Err, plugins[0].Baseline = nil, fmt.Errorf("no such binary"), again.baseline(t, "c")
				a = aggregateOf(t, plugins)
				path, err = synced(t.Context(), t, a.Client(t.Context()), workers)
				require.NoError(t, err)
				require.Equal(t, want, read(t, path).lines(t, "-"), "second generation after call %d", n+1)
				require.Equal(t, 5, a.Stale()[0].Accounts)
				require.ErrorContains(t, a.Stale()[0].Err, "no such binary")
			}
		})
	}
}

// movable is an app whose users live in organizations.
func movable(orgs map[string][]string) *app {
	org := &appType{resourceType: v2.ResourceType_builder{Id: "org", DisplayName: "Org", Annotations: annotations.New(&v2.SkipEntitlementsAndGrants{})}.Build()}
	people := users(0).types[0]
	for _, name := range slices.Sorted(maps.Keys(orgs)) {
		id := v2.ResourceId_builder{ResourceType: "org", Resource: name}.Build()
		org.resources = append(org.resources, v2.Resource_builder{
			Id: id, DisplayName: name, Annotations: annotations.New(v2.ChildResourceType_builder{ResourceTypeId: "user"}.Build()),
		}.Build())
		for _, login := range orgs[name] {
			person := user(login)
			person.SetParentResourceId(id)
			people.resources = append(people.resources, person)
		}
	}
	return &app{types: []*appType{org, people}}
}

func TestFallback_LosesNoAccountThatMovedBeforeTheFailure(t *testing.T) {
	t.Parallel()
	plugin := func(a *app, good *baseline.Plugin, interfere ...interference) []aggregate.Plugin {
		return []aggregate.Plugin{{Instance: "a", Namespace: "a", Conn: serve(t, a, interfere...), Baseline: good}}
	}
	before := firstGeneration(t, plugin(movable(map[string][]string{"o1": {"u1", "u2", "u3"}, "o2": {"u4"}, "o4": {"u6"}}), nil), 1)
	// u1 has moved to o2, o4 is gone and u6 is in o3, u5 is new.
	after := movable(map[string][]string{"o1": {"u2", "u3"}, "o2": {"u1", "u4"}, "o3": {"u5", "u6"}})
	var calls atomic.Int64
	whole := firstGeneration(t, plugin(after, nil, failsFrom(1<<40, &calls, nil)), 1)
	all := []string{"a.user/u1", "a.user/u2", "a.user/u3", "a.user/u4", "a.user/u6"}
	for n := range calls.Load() {
		var count atomic.Int64
		a := aggregateOf(t, plugin(after, before.baseline(t, "a"), failsFrom(n, &count, status.Error(codes.Internal, "gone"))))
		path, err := synced(t.Context(), t, a.Client(t.Context()), 1)
		require.NoError(t, err)
		require.Subset(t, read(t, path).resourceIDs(), all, "failing at call %d of %d", n+1, calls.Load())
	}
	require.Subset(t, read(t, whole.path).resourceIDs(), append(all, "a.user/u5"))
}

func TestFallback_FreshRowsGoBeforeStoredOnes(t *testing.T) {
	t.Parallel()
	before := firstGeneration(t, []aggregate.Plugin{{Instance: "a", Namespace: "a", Conn: serve(t, users(6))}}, 1)
	changed := users(7)
	rows := changed.types[0].resources
	rows[0].SetDisplayName("New name")
	rows[5].SetDisplayName("Never listed")
	changed.types[0].resources = append([]*v2.Resource{rows[0], rows[6]}, rows[2:6]...) // u7 is new, u2 is gone
	var pages atomic.Int64
	seen := &log{}
	a := aggregateOf(t, []aggregate.Plugin{{
		Instance: "a", Namespace: "a", Baseline: before.baseline(t, "a"),
		Conn: serve(t, changed, func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
			if method == listResources && pages.Add(1) > 2 {
				// What the syncer takes for the end of a listing.
				return nil, status.Error(codes.NotFound, "page lost")
			}
			return handler(ctx, request)
		}),
	}}, aggregate.WithObserver(seen))
	path, err := synced(t.Context(), t, a.Client(t.Context()), 1)
	require.NoError(t, err)
	names := map[string]string{}
	for _, row := range read(t, path).resources {
		names[row.GetId().GetResource()] = row.GetDisplayName()
	}
	require.Equal(t, map[string]string{
		"u1": "New name", "u7": "User u7", "u3": "User u3", "u4": "User u4",
		"u2": "User u2", "u5": "User u5", "u6": "User u6",
	}, names)
	require.Equal(t, 3, a.Stale()[0].Accounts)
	require.Len(t, seen.fallbacks, 1)
	require.Equal(t, "a", seen.fallbacks[0].Instance)
}

func TestFallback_OneSyncsFailureIsNotAnothers(t *testing.T) {
	t.Parallel()
	conn := serve(t, users(4))
	before := firstGeneration(t, []aggregate.Plugin{{Instance: "a", Namespace: "a", Conn: conn}}, 1)
	failed := aggregateOf(t, []aggregate.Plugin{{Instance: "a", Namespace: "a", Err: fmt.Errorf("did not start"), Baseline: before.baseline(t, "a")}})
	healthy := aggregateOf(t, []aggregate.Plugin{{Instance: "a", Namespace: "a", Conn: conn, Baseline: before.baseline(t, "a")}})
	for _, a := range []*aggregate.Aggregate{failed, healthy} {
		_, err := synced(t.Context(), t, a.Client(t.Context()), 1)
		require.NoError(t, err)
	}
	require.Len(t, failed.Stale(), 1)
	require.Empty(t, healthy.Stale())
}

func TestFallback_WithoutABaselineAPluginThatCannotBeCalledFailsTheSync(t *testing.T) {
	t.Parallel()
	a := aggregateOf(t, []aggregate.Plugin{
		{Instance: "a", Namespace: "a", Err: fmt.Errorf("no such binary")},
		{Instance: "b", Namespace: "b", Conn: serve(t, users(1))},
	})
	_, err := synced(t.Context(), t, a.Client(t.Context()), 1)
	require.ErrorContains(t, err, `plugin "a": validating: no such binary`)
	require.NotEqual(t, codes.Unavailable, status.Code(err))
}

func TestFallback_EndOfTheCallersContextIsNoFailureOfThePlugin(t *testing.T) {
	t.Parallel()
	before := firstGeneration(t, []aggregate.Plugin{{Instance: "a", Namespace: "a", Conn: serve(t, users(4))}}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	a := aggregateOf(t, []aggregate.Plugin{{
		Instance: "a", Namespace: "a", Baseline: before.baseline(t, "a"),
		Conn: serve(t, users(4), func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
			if method == listResources {
				cancel()
				<-ctx.Done()
			}
			return handler(ctx, request)
		}),
	}})
	_, err := synced(ctx, t, a.Client(ctx), 1)
	require.Error(t, err)
	require.Empty(t, a.Stale())
}
