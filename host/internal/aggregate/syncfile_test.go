package aggregate_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/connectorstore"
	"github.com/conductorone/baton-sdk/pkg/dotc1z"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
	"github.com/conductorone/baton-sdk/pkg/sync"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
	"github.com/batonhost/baton-host/host/internal/syncfile"
	"github.com/batonhost/baton-host/sandbox/raced"
)

// directory is an app of nothing but resource types without entitlements, with all
// that can be odd about their rows: the same id on several pages, changed in between,
// children, profiles of every kind.
func directory(t testing.TB) *app {
	t.Helper()
	skip := annotations.New(&v2.SkipEntitlementsAndGrants{})
	people := &appType{
		resourceType: v2.ResourceType_builder{Id: "user", DisplayName: "User", Traits: []v2.ResourceType_Trait{v2.ResourceType_TRAIT_USER}, Annotations: skip}.Build(),
		pageSize:     3,
	}
	for i := range 20 {
		person := user(fmt.Sprint("u", i))
		profile, err := structpb.NewStruct(map[string]any{"login": fmt.Sprint(i), "admin": i%2 == 0, "age": float64(i), "title": nil})
		require.NoError(t, err)
		if i%5 == 0 {
			profile.GetFields()["tags"] = structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{structpb.NewStringValue("x")}})
		}
		person.SetProfile(profile)
		people.resources = append(people.resources, person)
	}
	changed := user("u4")
	changed.SetDisplayName("Another name")
	people.resources = append(people.resources, user("u1"), changed)

	units := &appType{resourceType: v2.ResourceType_builder{Id: "unit", DisplayName: "Unit", Annotations: skip}.Build(), pageSize: 2}
	rooms := &appType{resourceType: v2.ResourceType_builder{Id: "room", DisplayName: "Room", Annotations: skip}.Build()}
	for i := range 3 {
		unit := v2.Resource_builder{
			Id: v2.ResourceId_builder{ResourceType: "unit", Resource: fmt.Sprint("n", i)}.Build(), DisplayName: "Unit",
			Annotations: annotations.New(v2.ChildResourceType_builder{ResourceTypeId: "room"}.Build()),
		}.Build()
		units.resources = append(units.resources, unit)
		rooms.resources = append(rooms.resources, v2.Resource_builder{
			Id: v2.ResourceId_builder{ResourceType: "room", Resource: fmt.Sprint("r", i)}.Build(), DisplayName: "Room", ParentResourceId: unit.GetId(),
		}.Build())
	}
	units.resources = append(units.resources, units.resources[0])

	// Of the desks, one is listed again on another page, and then is somewhere else.
	desks := &appType{resourceType: v2.ResourceType_builder{Id: "desk", DisplayName: "Desk", Annotations: skip}.Build(), pageSize: 1, flat: true}
	for i, name := range []string{"d0", "d1", "d0"} {
		desks.resources = append(desks.resources, v2.Resource_builder{
			Id: v2.ResourceId_builder{ResourceType: "desk", Resource: name}.Build(), DisplayName: "Desk", ParentResourceId: units.resources[i].GetId(),
		}.Build())
	}
	return &app{types: []*appType{people, units, rooms, desks}}
}

// clubs is an app whose type of accounts has no entitlements and whose other type has,
// with a grant that brings a resource.
func clubs(t testing.TB) *app {
	t.Helper()
	people := users(5).types[0]
	club := &appType{
		resourceType: v2.ResourceType_builder{Id: "club", DisplayName: "Club"}.Build(),
		entitlements: map[string][]*v2.Entitlement{}, grants: map[string][]*v2.Grant{},
	}
	for i := range 3 {
		id := fmt.Sprint("c", i)
		one := v2.Resource_builder{Id: v2.ResourceId_builder{ResourceType: "club", Resource: id}.Build(), DisplayName: id}.Build()
		club.resources = append(club.resources, one)
		club.entitlements[id] = []*v2.Entitlement{entitlement.NewAssignmentEntitlement(one, "member", entitlement.WithGrantableTo(people.resourceType))}
		club.grants[id] = []*v2.Grant{
			grant.NewGrant(one, "member", people.resources[i].GetId()),
			grant.NewGrant(one, "member", people.resources[4].GetId()),
		}
	}
	return &app{types: []*appType{people, club}}
}

// TestSyncFile_HasWhatTheSDKsOwnSyncWould: with pages read ahead, profiles packed and
// the syncer's store spared, what is in the file is what the SDK writes by itself. Here
// each app is read in the way that is usual, and all together in every scope, once as
// usual and once as unlike it as can be. TestLongSyncFile_HasWhatTheSDKsOwnSyncWould
// takes every app in every way.
func TestSyncFile_HasWhatTheSDKsOwnSyncWould(t *testing.T) {
	t.Parallel()
	holdsWhatTheSDKWould(t, func(app, scope string, engine c1zstore.Engine, workers int) bool {
		switch {
		case raced.Enabled:
			return app == "several apps" && scope == "everything" && engine == c1zstore.EnginePebble && workers == 4
		case engine == c1zstore.EnginePebble && workers == 4:
			return scope == "everything" || app == "several apps"
		case engine == c1zstore.EngineSQLite && workers == 1:
			return app == "several apps"
		}
		return false
	})
}

// holdsWhatTheSDKWould takes the cases that are chosen.
func holdsWhatTheSDKWould(t *testing.T, choose func(app, scope string, engine c1zstore.Engine, workers int) bool) {
	t.Helper()
	apps := map[string][]*app{
		"accounts":                      {users(7)},
		"nothing":                       {users(0)},
		"no entitlements":               {directory(t)},
		"entitlements beside accounts":  {clubs(t)},
		"all that can refer to another": {crm(t)},
		"several apps":                  {directory(t), crm(t), clubs(t), users(3)},
	}
	scopes := map[string]struct {
		scope syncfile.Scope
		sdk   []sync.SyncOpt
	}{
		"everything":      {},
		"no entitlements": {syncfile.Scope{SkipEntitlementsAndGrants: true}, []sync.SyncOpt{sync.WithSkipEntitlementsAndGrants(true)}},
		"no grants":       {syncfile.Scope{SkipGrants: true}, []sync.SyncOpt{sync.WithSkipGrants(true)}},
		"some types":      {syncfile.Scope{ResourceTypes: []string{"a.user"}}, []sync.SyncOpt{sync.WithSyncResourceTypes([]string{"a.user"})}},
	}
	for appName, several := range apps {
		for scopeName, scope := range scopes {
			for _, engine := range []c1zstore.Engine{c1zstore.EnginePebble, c1zstore.EngineSQLite} {
				for _, workers := range []int{1, 4} {
					if !choose(appName, scopeName, engine, workers) {
						continue
					}
					t.Run(fmt.Sprintf("%s/%s/%s/%d", appName, scopeName, engine, workers), func(t *testing.T) {
						t.Parallel()
						var plugins, plain []aggregate.Plugin
						for i, one := range several {
							name := string(rune('a' + i))
							plugin := aggregate.Plugin{Instance: name, Namespace: name, Conn: serve(t, one)}
							plain = append(plain, plugin)
							plugin.ReadAhead = 1 + i%policy.MostReadAhead
							plugins = append(plugins, plugin)
						}
						want, err := synced(t.Context(), t, aggregateOf(t, plain).Client(t.Context()), workers,
							append(scope.sdk, sync.WithStorageEngine(engine))...)
						require.NoError(t, err)

						a := aggregateOf(t, plugins, aggregate.WithPackedProfiles())
						draft, err := syncfile.Make(t.Context(), a.Client(t.Context()), t.TempDir(),
							syncfile.Settings{Scope: scope.scope, Workers: workers, Engine: engine})
						require.NoError(t, err)
						got := filepath.Join(t.TempDir(), "sync.c1z")
						require.NoError(t, draft.Publish(got))
						require.Equal(t, read(t, want).lines(t, "-"), read(t, got).lines(t, "-"))
						require.Equal(t, besides(t, want), besides(t, got))
					})
				}
			}
		}
	}
}

// TestSyncFile_PluginIsNotNeededOnceItIsRead: it may end while the file is packed.
func TestSyncFile_PluginIsNotNeededOnceItIsRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fails string // a method
		reads int
	}{
		"a sync that goes well": {"", 1},
		"one that fails":        {v2.GrantsService_ListGrants_FullMethodName, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var late atomic.Int32
			read := make(chan struct{}, 2)
			conn := serve(t, crm(t), func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
				if len(read) > 0 {
					late.Add(1)
				}
				if method == c.fails {
					return nil, status.Error(codes.PermissionDenied, "the app does not tell")
				}
				return handler(ctx, request)
			})
			a := aggregateOf(t, []aggregate.Plugin{{Instance: "a", Namespace: "a", Conn: conn, ReadAhead: 1}})
			draft, err := syncfile.Make(t.Context(), a.Client(t.Context()), t.TempDir(),
				syncfile.Settings{Workers: 4, Read: read})
			require.Equal(t, c.fails != "", err != nil, "%v", err)
			require.Len(t, read, c.reads)
			require.Zero(t, late.Load(), "calls of the plugin afterwards")
			if err == nil {
				draft.Discard()
			}
		})
	}
}

// besides is what a file holds besides its rows: how many it says there are, and its
// index of children, which the storage engine keeps up to date row by row.
func besides(t testing.TB, path string) []string {
	t.Helper()
	store, err := dotc1z.NewStore(t.Context(), path, dotc1z.WithReadOnly(true), dotc1z.WithTmpDir(t.TempDir()))
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close(t.Context())) }()
	run, err := store.SyncMeta().LatestFinishedSyncOfAnyType(t.Context())
	require.NoError(t, err)
	stats, err := store.SyncMeta().StatsV2(t.Context(), connectorstore.SyncTypeAny, run.ID)
	require.NoError(t, err)
	said := []string{fmt.Sprint(
		run.Type, stats.GetResourceTypes(), stats.GetResources(), stats.GetEntitlements(), stats.GetGrants(), stats.GetAssets(),
		stats.GetResourcesByResourceType(), stats.GetEntitlementsByResourceType(), stats.GetGrantsByResourceType(),
	)}
	for _, parent := range read(t, path).resources {
		children, err := store.ListResources(t.Context(), v2.ResourcesServiceListResourcesRequest_builder{ParentResourceId: parent.GetId()}.Build())
		require.NoError(t, err)
		for _, child := range children.GetList() {
			said = append(said, fmt.Sprint(parent.GetId().GetResource(), " has ", child.GetId().GetResourceType(), " ", child.GetId().GetResource()))
		}
	}
	slices.Sort(said)
	return said
}
