package aggregate_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	readerv2 "github.com/conductorone/baton-sdk/pb/c1/reader/v2"
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
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
	"github.com/batonhost/baton-host/host/internal/syncfile"
	"github.com/batonhost/baton-host/host/internal/syncfile/sdkfast"
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

// access is an app with all that can be odd about grants: the same one on several pages and
// on one, with another id, with other annotations, and expandable only once; groups that
// are members of each other in a circle, two of them of themselves; grants of entitlements
// that another resource was asked for, of resources that only they bring, and for people of
// another directory; and types that the sync does not read. Without circles there are none:
// with SQLite, the SDK chooses by chance what it names as the source of what a circle expands
// to.
func access(t testing.TB, circles bool) *app {
	t.Helper()
	people := users(9).types[0]
	groups := &appType{
		resourceType: v2.ResourceType_builder{Id: "group", DisplayName: "Group", Traits: []v2.ResourceType_Trait{v2.ResourceType_TRAIT_GROUP}}.Build(),
		pageSize:     3, entitlements: map[string][]*v2.Entitlement{}, grants: map[string][]*v2.Grant{},
	}
	for i := range 6 {
		id := fmt.Sprint("g", i)
		one := v2.Resource_builder{
			Id: v2.ResourceId_builder{ResourceType: "group", Resource: id}.Build(), DisplayName: "Group " + id,
			Annotations: annotations.New(&v2.GroupTrait{}),
		}.Build()
		groups.resources = append(groups.resources, one)
		groups.entitlements[id] = []*v2.Entitlement{
			entitlement.NewAssignmentEntitlement(one, "member", entitlement.WithGrantableTo(people.resourceType), entitlement.WithExclusionGroup("of-"+id)),
			entitlement.NewPermissionEntitlement(one, "owner", entitlement.WithGrantableTo(people.resourceType), entitlement.WithExclusionGroup("of-"+id)),
		}
	}
	member := func(in int, who string, options ...grant.GrantOption) *v2.Grant {
		// As connectors do it: with all of the resource, and of its entitlement.
		made := grant.NewGrant(groups.resources[in], "member", user(who), options...)
		made.SetEntitlement(groups.entitlements[fmt.Sprint("g", in)][0])
		return made
	}
	nests := func(in, of int, expandable bool) *v2.Grant {
		made := grant.NewGrant(groups.resources[in], "member", groups.resources[of].GetId())
		if expandable {
			made.SetAnnotations(annotations.New(v2.GrantExpandable_builder{
				EntitlementIds: []string{entitlement.NewEntitlementID(groups.resources[of], "member")}, Shallow: of == 5, ResourceTypeIds: []string{"user"},
			}.Build()))
		}
		return made
	}
	renamed := member(0, "u1", grant.WithGrantMetadata(map[string]any{"since": "2025", "by": "u2"}))
	renamed.SetId("membership/1")
	owner := grant.NewGrant(groups.resources[0], "owner", v2.ResourceId_builder{ResourceType: "user", Resource: "u1"}.Build())
	sourced := member(2, "u7")
	sourced.SetSources(v2.GrantSources_builder{Sources: map[string]*v2.GrantSources_GrantSource{
		"group:g2:member": v2.GrantSources_GrantSource_builder{IsDirect: true}.Build(), "group:g3:member": {},
	}}.Build())
	withoutID := member(4, "u8")
	withoutID.SetId("")
	groups.grants = map[string][]*v2.Grant{
		"g0": {member(0, "u1"), member(0, "u2"), member(0, "u1"), nests(0, 1, false), owner, renamed, nests(0, 1, true), member(0, "u2"), owner},
		"g1": {nests(1, 2, true), member(1, "u3")},
		"g2": {member(2, "u4"), sourced, nests(2, 5, true)},
		"g3": {member(3, "u5"), nests(3, 0, true)},
		"g4": {withoutID, nests(4, 3, false), member(4, "u8")},
		"g5": {member(5, "u9"), nests(5, 4, true)},
	}
	if circles {
		groups.grants["g1"] = append(groups.grants["g1"], nests(1, 1, true))
		groups.grants["g2"] = append(groups.grants["g2"], nests(2, 0, true))
		groups.grants["g3"] = append(groups.grants["g3"], nests(3, 3, true))
	}

	thing := func(id string) *v2.Resource {
		return v2.Resource_builder{Id: v2.ResourceId_builder{ResourceType: "thing", Resource: id}.Build(), DisplayName: "Thing " + id, Description: "Found by a grant"}.Build()
	}
	things := &appType{resourceType: v2.ResourceType_builder{Id: "thing", DisplayName: "Thing"}.Build(), resources: []*v2.Resource{thing("t0")}}
	finder := v2.Resource_builder{Id: v2.ResourceId_builder{ResourceType: "finder", Resource: "f"}.Build(), DisplayName: "Finder"}.Build()
	of := func(id, who string) *v2.Grant {
		return grant.NewGrant(thing(id), "use", v2.ResourceId_builder{ResourceType: "user", Resource: who}.Build())
	}
	finders := &appType{
		resourceType: v2.ResourceType_builder{Id: "finder", DisplayName: "Finder"}.Build(), pageSize: 2, resources: []*v2.Resource{finder},
		inserts: map[string]bool{"f": true},
		grants:  map[string][]*v2.Grant{"f": {of("t0", "u1"), of("t1", "u1"), of("t1", "u2"), of("t2", "u3"), of("t1", "u1"), of("t2", "u3")}},
	}

	hall := v2.Resource_builder{Id: v2.ResourceId_builder{ResourceType: "hall", Resource: "h"}.Build(), DisplayName: "Hall"}.Build()
	elsewhere := func(match proto.Message, who string) *v2.Grant {
		return grant.NewGrant(hall, "enter", v2.ResourceId_builder{ResourceType: "user", Resource: who}.Build(), grant.WithAnnotation(match))
	}
	halls := &appType{
		resourceType: v2.ResourceType_builder{Id: "hall", DisplayName: "Hall"}.Build(), pageSize: 2, resources: []*v2.Resource{hall},
		entitlements: map[string][]*v2.Entitlement{"h": {entitlement.NewAssignmentEntitlement(hall, "enter")}},
		grants: map[string][]*v2.Grant{"h": {
			elsewhere(v2.ExternalResourceMatch_builder{Key: "email", Value: "x@example.com", ResourceType: v2.ResourceType_TRAIT_USER}.Build(), "u1"),
			elsewhere(v2.ExternalResourceMatchAll_builder{ResourceType: v2.ResourceType_TRAIT_USER}.Build(), "u2"),
			elsewhere(v2.ExternalResourceMatchID_builder{Id: "77"}.Build(), "u3"),
			// Grants of another resource, that was asked for the same ones, and one of a
			// type that is not there.
			member(4, "u6"), member(4, "u8"),
			grant.NewGrant(hall, "enter", v2.ResourceId_builder{ResourceType: "robot", Resource: "r"}.Build()),
			grant.NewGrant(hall, "enter", v2.ResourceId_builder{ResourceType: "user", Resource: "u4"}.Build(), grant.WithAnnotation(&v2.GrantImmutable{})),
		}},
	}
	return &app{types: []*appType{people, groups, things, finders, halls}}
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
		case raced.IsShort():
			return (app == "several apps" || app == "access") && scope == "everything" && engine == c1zstore.EnginePebble && workers == 4
		case engine == c1zstore.EnginePebble && workers == 4:
			return scope == "everything" || app == "several apps"
		case engine == c1zstore.EngineSQLite && workers == 1:
			return app == "several apps" || app == "access" && scope == "everything"
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
		"access":                        {access(t, true)},
		"several apps":                  {directory(t), crm(t), clubs(t), users(3), access(t, true)},
	}
	withoutCircles := map[string][]*app{
		"access":       {access(t, false)},
		"several apps": {directory(t), crm(t), clubs(t), users(3), access(t, false)},
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
						several := several
						if others := withoutCircles[appName]; others != nil && engine == c1zstore.EngineSQLite {
							several = others
						}
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

						options := []aggregate.Option{aggregate.WithPackedProfiles()}
						if sdkfast.MayPackGrants(engine) {
							options = append(options, aggregate.WithPackedGrants())
						}
						a := aggregateOf(t, plugins, options...)
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

// besides is what a file holds besides its rows: how many it says there are, what grants
// expand from, and its indexes of children and of principals, which the storage engine keeps
// up to date row by row; and the digest of its grants.
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
		for _, one := range grantsOf(t, store, parent) {
			said = append(said, fmt.Sprint(parent.GetId().GetResource(), " is granted ", one))
		}
	}
	for row, err := range store.Grants().ListWithAnnotations(t.Context()) {
		require.NoError(t, err)
		said = append(said, fmt.Sprint(row.GrantExternalID, row.NeedsExpansion, row.Annotation.GetEntitlementIds(), row.Annotation.GetShallow(), row.Annotation.GetResourceTypeIds()))
	}
	if digests, ok := store.(c1zstore.GrantGenerationDigestReader); ok {
		digest, known, err := digests.GrantGenerationDigest(t.Context())
		require.NoError(t, err)
		said = append(said, fmt.Sprint("the digest of grants: ", digest, known))
	}
	slices.Sort(said)
	return said
}

// grantsOf are the ids of the grants of a principal, as the index of principals has them.
func grantsOf(t testing.TB, store c1zstore.Store, principal *v2.Resource) []string {
	t.Helper()
	var ids []string
	for token := ""; ; {
		page, err := store.ListGrantsForPrincipal(t.Context(), readerv2.GrantsReaderServiceListGrantsForPrincipalRequest_builder{
			PrincipalId: principal.GetId(), PageToken: token,
		}.Build())
		require.NoError(t, err)
		for _, row := range page.GetList() {
			ids = append(ids, row.GetId())
		}
		if token = page.GetNextPageToken(); token == "" {
			return ids
		}
	}
}
