package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/connectorclient"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/syncrun"
	"github.com/batonhost/baton-host/sandbox/raced"
)

// deletion is resources that are deleted in an app after they have been listed.
type deletion struct {
	ids []string
	// kinds are the listings that then answer NOT_FOUND, from this page on.
	kinds []baseline.RowKind
	page  string
	// lookUp answers GetResource; nil: it is not implemented.
	lookUp func(*v2.ResourceId) (*v2.Resource, error)

	mu       sync.Mutex
	lookedUp []string
}

var (
	both       = []baseline.RowKind{baseline.Entitlements, baseline.Grants}
	onlyGrants = []baseline.RowKind{baseline.Grants}
)

func lookUpFails(code codes.Code) func(*v2.ResourceId) (*v2.Resource, error) {
	return func(*v2.ResourceId) (*v2.Resource, error) { return nil, status.Error(code, "details: 404") }
}

func (d *deletion) interference(ctx context.Context, _ string, request any, handler grpc.UnaryHandler) (any, error) {
	var id, page string
	var kind baseline.RowKind
	switch request := request.(type) {
	case *v2.ResourceGetterServiceGetResourceRequest:
		d.mu.Lock()
		d.lookedUp = append(d.lookedUp, request.GetResourceId().GetResource())
		d.mu.Unlock()
		if d.lookUp == nil {
			return handler(ctx, request)
		}
		found, err := d.lookUp(request.GetResourceId())
		if err != nil {
			return nil, err
		}
		return v2.ResourceGetterServiceGetResourceResponse_builder{Resource: found}.Build(), nil
	case *v2.EntitlementsServiceListEntitlementsRequest:
		id, page, kind = request.GetResource().GetId().GetResource(), request.GetPageToken(), baseline.Entitlements
	case *v2.GrantsServiceListGrantsRequest:
		id, page, kind = request.GetResource().GetId().GetResource(), request.GetPageToken(), baseline.Grants
	}
	if slices.Contains(d.ids, id) && slices.Contains(d.kinds, kind) && page >= d.page {
		return nil, status.Errorf(codes.NotFound, "group %s: 404", id)
	}
	return handler(ctx, request)
}

// firstGroups are the ids of the first groups of [groups].
func firstGroups(n int) []string {
	ids := make([]string, 0, n)
	for i := range n {
		ids = append(ids, fmt.Sprintf("g%03d", i))
	}
	return ids
}

// TestSkip_ResourceOfAListing compares a sync with that of the same connector alone, by
// the SDK's syncer, wherever both skip.
func TestSkip_ResourceOfAListing(t *testing.T) {
	t.Parallel()
	itself := func(id *v2.ResourceId) (*v2.Resource, error) {
		return v2.Resource_builder{Id: id, DisplayName: "It"}.Build(), nil
	}
	for name, c := range map[string]struct {
		deleted *deletion
		// What becomes of the first of its resources; failure is what the error has, "" if
		// they are skipped.
		kind    baseline.RowKind
		rows    int64
		unknown string
		failure string
	}{
		"H3: a group is gone, before its grants":       {deleted: &deletion{kinds: onlyGrants, lookUp: lookUpFails(codes.NotFound)}, kind: baseline.Grants},
		"H3: a group is gone, before its entitlements": {deleted: &deletion{kinds: both, lookUp: lookUpFails(codes.NotFound)}, kind: baseline.Entitlements},
		"H3: a group is gone, between two pages":       {deleted: &deletion{kinds: onlyGrants, page: "1", lookUp: lookUpFails(codes.NotFound)}, kind: baseline.Grants, rows: 1},
		"H3: looked up, there is no resource": {
			deleted: &deletion{kinds: both, lookUp: func(*v2.ResourceId) (*v2.Resource, error) { return nil, nil }}, //nolint:nilnil // As careless connectors do.
			kind:    baseline.Entitlements,
		},
		"H3: it cannot be looked up, as connectors need not":       {deleted: &deletion{kinds: both}, kind: baseline.Entitlements, unknown: "get resource with unknown resource type group"},
		"H3: it cannot be looked up, in the middle":                {deleted: &deletion{kinds: both, page: "1"}, kind: baseline.Entitlements, rows: 1, unknown: "unknown resource type"},
		"H3: it cannot be looked up, as that is not permitted":     {deleted: &deletion{kinds: onlyGrants, lookUp: lookUpFails(codes.PermissionDenied)}, kind: baseline.Grants, unknown: "details: 404"},
		"H3: it cannot be looked up, for an error of no kind":      {deleted: &deletion{kinds: onlyGrants, lookUp: lookUpFails(codes.Unknown)}, kind: baseline.Grants, unknown: "details: 404"},
		"H3: it cannot be looked up, as the answer is another one": {deleted: &deletion{kinds: onlyGrants, lookUp: func(*v2.ResourceId) (*v2.Resource, error) { return user("u1"), nil }}, kind: baseline.Grants, unknown: `answers with user "u1"`},
		"H3: it is there": {
			deleted: &deletion{kinds: onlyGrants, lookUp: itself},
			failure: `plugin "a": listing grants of group "g000": the plugin answered NOT_FOUND, and yet finds the resource when it is looked up: group g000: 404`,
		},
		"H3: it is there, in the middle": {deleted: &deletion{kinds: onlyGrants, page: "1", lookUp: itself}, failure: `and yet finds the resource when it is looked up`},
		"H3: the app is away when it is looked up": {
			deleted: &deletion{kinds: onlyGrants, lookUp: lookUpFails(codes.Unavailable)}, failure: `plugin "a": getting group "g000": gave up after 1 attempt`,
		},
		"H3: the token is refused when it is looked up": {
			deleted: &deletion{kinds: onlyGrants, lookUp: lookUpFails(codes.Unauthenticated)}, failure: `plugin "a": getting group "g000": details: 404`,
		},
	} {
		for ahead := range 2 {
			t.Run(fmt.Sprintf("%s, %d pages ahead", name, ahead), func(t *testing.T) {
				raced.Sample(t, 5)
				t.Parallel()
				d := &deletion{ids: []string{"g000"}, kinds: c.deleted.kinds, page: c.deleted.page, lookUp: c.deleted.lookUp}
				if c.failure == "" {
					d.ids = append(d.ids, "g007")
				}
				conn := serve(t, groups(20), d.interference)
				seen := &log{}
				a := aggregateOf(t, []aggregate.Plugin{{Instance: "a", Conn: conn, ReadAhead: ahead}}, aggregate.WithObserver(seen))
				path, err := synced(t.Context(), t, a.Client(t.Context()), 1+9*ahead)
				if c.failure != "" {
					require.ErrorContains(t, err, c.failure)
					require.NotEqual(t, codes.NotFound, status.Code(err), "the syncer would go on")
					require.Empty(t, a.Skipped())
					return
				}
				require.NoError(t, err)
				require.ElementsMatch(t, d.ids, d.lookedUp, "once each")
				alone, err := synced(t.Context(), t, connectorclient.NewConnectorClient(t.Context(), conn), 1)
				require.NoError(t, err)
				require.Equal(t, read(t, alone).lines(t, "-"), read(t, path).lines(t, "-"))

				require.Len(t, seen.skipped, 2)
				for _, one := range seen.skipped {
					require.Equal(t, "group", one.ResourceTypeID)
					require.Contains(t, d.ids, one.ResourceID)
					require.Equal(t, c.kind, one.Kind)
					require.Equal(t, c.rows, one.Rows)
					require.ErrorContains(t, one.Err, "group "+one.ResourceID+": 404")
					if c.unknown == "" {
						require.NoError(t, one.Unknown)
					} else {
						require.ErrorContains(t, one.Unknown, c.unknown)
					}
				}
				gone := 0
				if c.unknown == "" {
					gone = 2
				}
				require.Len(t, a.Skipped(), 1)
				require.Equal(t, 2, a.Skipped()[0].Resources)
				require.Equal(t, gone, a.Skipped()[0].Gone)
			})
		}
	}
}

// TestSkip_IsBounded as the SDK bounds it, but for each plugin, and whichever resources
// are read first.
func TestSkip_IsBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		groups, gone int
		fails        bool
	}{
		{10, 10, false},
		{11, 11, true},
		{100, 10, false},
		{109, 11, true},
		{110, 11, false},
	} {
		for way, ids := range map[string]func() []string{
			"the first": func() []string { return firstGroups(c.gone) },
			"the last":  func() []string { return firstGroups(c.groups)[c.groups-c.gone:] },
		} {
			t.Run(fmt.Sprintf("H3: %d of %d, %s", c.gone, c.groups, way), func(t *testing.T) {
				raced.Sample(t, 5)
				t.Parallel()
				plugins := func() []aggregate.Plugin {
					d := &deletion{ids: ids(), kinds: both, lookUp: lookUpFails(codes.NotFound)}
					app := groups(c.groups)
					app.types[1].pageSize = 0
					return []aggregate.Plugin{
						{Instance: "a", Namespace: "a", Conn: serve(t, app, d.interference), ReadAhead: 1},
						{Instance: "b", Namespace: "b", Conn: serve(t, app, d.interference)},
					}
				}
				a := aggregateOf(t, plugins())
				path, err := synced(t.Context(), t, a.Client(t.Context()), 20)
				if c.fails {
					require.ErrorContains(t, err, fmt.Sprintf("the plugin answered NOT_FOUND for the entitlements or grants of %d of its %d resources", 11, c.groups))
					require.Regexp(t, `plugin "[ab]": listing entitlements of group "g\d+": `, err.Error())
					require.Equal(t, codes.FailedPrecondition, status.Code(err))
					return
				}
				require.NoError(t, err)
				require.Len(t, a.Skipped(), 2)
				for _, part := range a.Skipped() {
					require.Equal(t, c.gone, part.Resources)
				}
				require.Len(t, read(t, path).grants, 2*2*(c.groups-c.gone))
			})
		}
	}
}

// TestSkip_OnlyForOneResource: what is for more than one fails, by whomever it is asked.
func TestSkip_OnlyForOneResource(t *testing.T) {
	t.Parallel()
	conn := serve(t, groups(20), func(_ context.Context, method string, _ any, _ grpc.UnaryHandler) (any, error) {
		require.NotEqual(t, v2.ResourceGetterService_GetResource_FullMethodName, method, "no resource is meant")
		return nil, status.Error(codes.NotFound, "404")
	})
	client := of(t, map[string]grpc.ClientConnInterface{"a": conn})
	stub := v2.Resource_builder{Id: v2.ResourceId_builder{ResourceType: "a.group", Resource: "a.group"}.Build()}.Build()
	for name, list := range map[string]func(ctx context.Context) error{
		"H3: the grants of a type": func(ctx context.Context) error {
			_, err := client.ListGrants(ctx, v2.GrantsServiceListGrantsRequest_builder{Resource: stub, Annotations: annotations.New(&v2.TypeScopedGrants{})}.Build())
			return err
		},
		"H3: the entitlements of a type": func(ctx context.Context) error {
			_, err := client.ListEntitlements(ctx, v2.EntitlementsServiceListEntitlementsRequest_builder{Resource: stub, Annotations: annotations.New(&v2.TypeScopedEntitlements{})}.Build())
			return err
		},
		"H3: the static entitlements of a type": func(ctx context.Context) error {
			_, err := client.ListStaticEntitlements(ctx, v2.EntitlementsServiceListStaticEntitlementsRequest_builder{ResourceTypeId: "a.group"}.Build())
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := list(t.Context())
			require.ErrorContains(t, err, "the plugin answered NOT_FOUND in the middle of a sync: 404")
			require.Equal(t, codes.FailedPrecondition, status.Code(err))
		})
	}
}

// TestSkip_HoldsThePlaceOfItsListing: a connector that serves one listing at a time is
// looked up in, and asked for nothing else meanwhile.
func TestSkip_HoldsThePlaceOfItsListing(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	open, most := 0, 0
	limit := limitFunc(func() func() {
		mu.Lock()
		defer mu.Unlock()
		open++
		most = max(most, open)
		return func() {
			mu.Lock()
			defer mu.Unlock()
			open--
		}
	})
	d := &deletion{ids: firstGroups(2), kinds: both}
	d.lookUp = func(*v2.ResourceId) (*v2.Resource, error) {
		mu.Lock()
		defer mu.Unlock()
		if open == 0 {
			return nil, status.Error(codes.Unavailable, "another listing may have begun")
		}
		return nil, status.Error(codes.NotFound, "404")
	}
	a := aggregateOf(t, []aggregate.Plugin{{Instance: "a", Namespace: "a", Conn: serve(t, groups(20), d.interference), ReadAhead: 1, Listings: limit}})
	_, err := synced(t.Context(), t, a.Client(t.Context()), 10)
	require.NoError(t, err)
	mu.Lock()
	defer mu.Unlock()
	require.Zero(t, open, "every listing has ended, also those that were skipped")
	require.Positive(t, most)
}

// limitFunc is a limit that lets every listing begin.
type limitFunc func() (end func())

func (l limitFunc) BeginListing(context.Context) (func(), error) { return l(), nil }

// TestSkip_FailsOverToTheBaseline where a plugin is not believed, with the rows of before;
// what it had listed is used only where it was lost.
func TestSkip_FailsOverToTheBaseline(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lookUp       func(*v2.ResourceId) (*v2.Resource, error)
		contradicted bool
	}{
		"H3: it is there":                          {func(id *v2.ResourceId) (*v2.Resource, error) { return v2.Resource_builder{Id: id}.Build(), nil }, true},
		"H3: the app is away when it is looked up": {lookUpFails(codes.Unavailable), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "sync.c1z")
			plugins := func(interfere ...interference) []aggregate.Plugin {
				return []aggregate.Plugin{
					{Instance: "a", Namespace: "a", Conn: serve(t, groups(20), interfere...)},
					{Instance: "b", Namespace: "b", Conn: serve(t, users(3))},
				}
			}
			_, err := makeSync(t, path, plugins(), syncrun.Spec{})
			require.NoError(t, err)
			want := read(t, path).lines(t, "-")
			d := &deletion{ids: []string{"g007"}, kinds: onlyGrants, lookUp: c.lookUp}
			seen := &log{}
			second, err := makeSync(t, path, plugins(d.interference), syncrun.Spec{Observer: seen})
			require.NoError(t, err)
			require.Equal(t, want, read(t, path).lines(t, "-"))
			require.Len(t, second.result.Stale, 1)
			require.Len(t, seen.fallbacks, 1)
			require.Equal(t, c.contradicted, seen.fallbacks[0].Contradicted)
			require.Empty(t, second.result.Skipped)
			require.Zero(t, second.result.Sync.Plugins["a"].Skipped)
		})
	}
}

// TestSkip_IsMarkedUntilTheNextSync takes an upload through syncs: a group is deleted in
// the second, which is the baseline of the third, in which the app is away.
func TestSkip_IsMarkedUntilTheNextSync(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sync.c1z")
	core, logged := observer.New(zapcore.InfoLevel)
	ctx := ctxzap.ToContext(t.Context(), zap.New(core))
	made := func(t *testing.T, plugins ...aggregate.Plugin) *syncrun.Result {
		t.Helper()
		spec := syncrun.Spec{
			Upload: &config.Upload{Name: "everything", LastGood: true}, Dir: filepath.Dir(path), Keep: baseline.At(path),
			Retry: policy.Retries{MaxAttempts: 1}, Figures: &syncrun.Figures{},
		}
		for _, p := range plugins {
			spec.Plugins = append(spec.Plugins, syncrun.Plugin{Plugin: p, Guard: config.DefaultChangeGuard()})
		}
		result, err := syncrun.Run(ctx, spec)
		require.NoError(t, err)
		require.NoError(t, spec.Keep.Replace(result.Draft, result.Sync))
		spec.Figures.Log(zap.New(core), nil, false, time.Second)
		return result
	}
	outcome := func() any {
		lines := logged.FilterMessage("sync done").All()
		return lines[len(lines)-1].ContextMap()["outcome"]
	}
	app := func(interfere ...interference) aggregate.Plugin {
		return aggregate.Plugin{Instance: "a", Namespace: "a", Conn: serve(t, groups(30), interfere...)}
	}
	beside := func(n int) aggregate.Plugin {
		return aggregate.Plugin{Instance: "b", Namespace: "b", Conn: serve(t, users(n))}
	}
	one := &deletion{ids: []string{"g003"}, kinds: both, lookUp: lookUpFails(codes.NotFound)}
	const skips = "the plugin no longer finds a resource that it listed; its entitlements or grants are skipped"

	first := made(t, app(), beside(3))
	require.Zero(t, first.Sync.Plugins["a"].Skipped)
	require.Equal(t, "fresh", outcome())

	second := made(t, app(one.interference), beside(3))
	require.Equal(t, 1, second.Sync.Plugins["a"].Skipped)
	require.Zero(t, second.Sync.Plugins["b"].Skipped)
	require.Empty(t, second.Stale, "it has not failed")
	require.Equal(t, []string{`plugin "a" no longer finds 1 resource that it listed (1 gone, 0 that cannot be looked up); what it had not listed yet of their entitlements or grants is skipped: for example the entitlements of "g003" of type "a.group"`}, second.Warnings)
	require.Equal(t, "incomplete", outcome())
	require.Equal(t, 1, logged.FilterMessage(skips).Len())
	fields := logged.FilterMessage(skips).All()[0].ContextMap()
	require.Equal(t, map[string]any{
		"plugin": "a", "resource_type": "a.group", "resource": "g003", "listing": "entitlements", "rows_before": int64(0), "gone": true, "error": fields["error"],
	}, fields)
	require.Contains(t, fields["error"], "group g003: 404")
	require.Equal(t, 1, baseline.At(path).Known().Plugins["a"].Skipped)

	away := aggregate.Plugin{Instance: "a", Namespace: "a", Err: errors.New("it did not start")}
	third := made(t, away, beside(3))
	require.Len(t, third.Stale, 1)
	require.Equal(t, 1, third.Sync.Plugins["a"].Skipped, "it is as incomplete as what it fell back on")
	require.Equal(t, []string{`what the baseline has of plugin "a" lacks entitlements or grants of 1 resource, which were skipped when they were listed`}, third.Warnings)
	require.Equal(t, "stale", outcome())

	fourth := made(t, app(), beside(30))
	require.Zero(t, fourth.Sync.Plugins["a"].Skipped)
	require.Empty(t, fourth.Warnings)
	require.Equal(t, "fresh", outcome())

	// The file is made again, for another plugin.
	fifth := made(t, app(one.interference), beside(2))
	require.Len(t, fifth.Stale, 1)
	require.Equal(t, "b", fifth.Stale[0].Instance)
	require.Equal(t, 1, fifth.Sync.Plugins["a"].Skipped)
	require.Len(t, fifth.Skipped, 1)

	// And for this one: nothing of what it listed is in the file.
	made(t, app(), beside(30))
	many := &deletion{ids: firstGroups(12), kinds: onlyGrants, lookUp: lookUpFails(codes.NotFound)}
	last := made(t, app(many.interference), beside(30))
	require.Len(t, last.Stale, 1)
	require.ErrorContains(t, last.Stale[0].Err, "of 11 of its 30 resources")
	require.Zero(t, last.Sync.Plugins["a"].Skipped)
	require.Empty(t, last.Skipped)
	require.Len(t, read(t, path).grants, 2*30, "as in the baseline")
}
