package aggregate_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/syncrun"
	"github.com/batonhost/baton-host/sandbox/raced"
)

// portal is an app whose roles, jobs and duties are found in the grants of its groups,
// which are children of organizations: types with entitlements that are static, static
// only, and none. Its seats are listed, but their grants and one of their entitlements
// come in the listings of groups.
func portal(t testing.TB) *app {
	t.Helper()
	id := func(typeID, id string) *v2.ResourceId {
		return v2.ResourceId_builder{ResourceType: typeID, Resource: id}.Build()
	}
	typ := func(id string, trait v2.ResourceType_Trait, annos ...proto.Message) *v2.ResourceType {
		rt := v2.ResourceType_builder{Id: id, DisplayName: "The " + id, Annotations: annotations.New(annos...)}.Build()
		if trait != v2.ResourceType_TRAIT_UNSPECIFIED {
			rt.SetTraits([]v2.ResourceType_Trait{trait})
		}
		return rt
	}
	people := users(5).types[0]
	org := v2.Resource_builder{
		Id: id("org", "o1"), DisplayName: "Org", Annotations: annotations.New(v2.ChildResourceType_builder{ResourceTypeId: "group"}.Build()),
	}.Build()
	groups := &appType{
		resourceType: typ("group", v2.ResourceType_TRAIT_GROUP), pageSize: 2,
		entitlements: map[string][]*v2.Entitlement{}, grants: map[string][]*v2.Grant{}, inserts: map[string]bool{"g1": true, "g2": true},
	}
	member := map[string]*v2.Entitlement{}
	for _, name := range []string{"g1", "g2", "g3"} {
		group := v2.Resource_builder{
			Id: id("group", name), ParentResourceId: org.GetId(), DisplayName: "Group " + name, Description: "all of it",
			Annotations: annotations.New(&v2.GroupTrait{}),
		}.Build()
		member[name] = entitlement.NewAssignmentEntitlement(group, "member", entitlement.WithGrantableTo(people.resourceType))
		groups.resources = append(groups.resources, group)
		groups.entitlements[name] = []*v2.Entitlement{member[name]}
	}
	member["g2"].SetId("membership-of-g2")
	find := func(typeID, name string) *v2.Resource {
		return v2.Resource_builder{
			Id: id(typeID, name), ParentResourceId: org.GetId(), DisplayName: "Found " + name, Description: "found",
			Annotations: annotations.New(&v2.RoleTrait{}),
		}.Build()
	}
	of := func(e *v2.Entitlement, principal *v2.ResourceId, grantID string, annos ...proto.Message) *v2.Grant {
		who := v2.Resource_builder{Id: principal}.Build()
		g := v2.Grant_builder{Id: grantID, Entitlement: e, Principal: who, Annotations: annotations.New(annos...)}.Build()
		if grantID == "" {
			g.SetId(grant.NewGrantID(who, e))
		}
		return g
	}
	static := v2.Entitlement_builder{
		Slug: "assigned", DisplayName: "Assigned", Purpose: v2.Entitlement_PURPOSE_VALUE_ASSIGNMENT, GrantableTo: []*v2.ResourceType{people.resourceType},
	}.Build()
	assigned := func(r *v2.Resource) *v2.Entitlement { return entitlement.NewAssignmentEntitlement(r, "assigned") }
	admin, auditor, odd, listed := find("role", "admin"), find("role", "auditor"), find("role", "odd"), find("role", "listed")
	listedJob := find("job", "listed")
	byHand := assigned(odd)
	byHand.SetId("rights/odd")

	seat := v2.Resource_builder{Id: id("seat", "s1"), DisplayName: "Seat"}.Build()
	sits := entitlement.NewAssignmentEntitlement(seat, "sits", entitlement.WithGrantableTo(people.resourceType))
	stands := entitlement.NewAssignmentEntitlement(seat, "stands", entitlement.WithGrantableTo(people.resourceType))
	groups.entitlements["g3"] = append(groups.entitlements["g3"], stands)

	groups.grants["g1"] = []*v2.Grant{
		of(member["g1"], id("user", "u1"), ""),
		of(assigned(admin), id("user", "u2"), ""),
		of(assigned(admin), id("group", "g1"), "", v2.GrantExpandable_builder{EntitlementIds: []string{member["g1"].GetId()}}.Build()),
		of(assigned(auditor), id("user", "u1"), "assignment/7"),
	}
	groups.grants["g2"] = []*v2.Grant{
		of(member["g2"], id("user", "u3"), "membership/77"),
		of(assigned(admin), id("user", "u4"), ""),
		of(byHand, id("user", "u5"), ""),
		of(assigned(find("job", "clerk")), id("user", "u5"), ""),
		of(assigned(listedJob), id("user", "u4"), ""),
		of(assigned(find("duty", "fire")), id("user", "u5"), "duty/1"),
		of(member["g2"], id("role", "admin"), "", v2.GrantExpandable_builder{EntitlementIds: []string{assigned(admin).GetId()}}.Build()),
	}
	groups.grants["g3"] = []*v2.Grant{
		of(member["g3"], id("group", "g1"), "", v2.GrantExpandable_builder{EntitlementIds: []string{member["g1"].GetId()}}.Build()),
		of(member["g3"], id("role", "auditor"), ""),
		of(stands, id("user", "u2"), ""),
		of(sits, id("user", "u1"), "seat/1"),
	}
	return &app{types: []*appType{
		people,
		{resourceType: typ("org", v2.ResourceType_TRAIT_UNSPECIFIED, &v2.SkipEntitlementsAndGrants{}), resources: []*v2.Resource{org}},
		groups,
		{resourceType: typ("role", v2.ResourceType_TRAIT_ROLE), static: []*v2.Entitlement{static}, resources: []*v2.Resource{listed}, flat: true},
		{
			resourceType: typ("job", v2.ResourceType_TRAIT_ROLE, &v2.SkipEntitlements{}),
			static:       []*v2.Entitlement{static}, resources: []*v2.Resource{listedJob}, flat: true,
		},
		{resourceType: typ("duty", v2.ResourceType_TRAIT_ROLE, &v2.SkipEntitlementsAndGrants{})},
		{
			resourceType: typ("seat", v2.ResourceType_TRAIT_UNSPECIFIED), resources: []*v2.Resource{seat},
			entitlements: map[string][]*v2.Entitlement{"s1": {sits}},
		},
	}}
}

// failsAt fails the call of that number, from 0, and all later ones.
func failsAt(n int64, failure codes.Code) interference {
	var calls atomic.Int64
	return failsFrom(n, &calls, status.Error(failure, "not used"))
}

// madeSync is a sync file of an upload as a host does, and keeps it.
type madeSync struct {
	keep   *baseline.Store
	path   string
	result *syncrun.Result
}

func makeSync(t testing.TB, path string, plugins []aggregate.Plugin, spec syncrun.Spec) (madeSync, error) {
	t.Helper()
	for _, p := range plugins {
		spec.Plugins = append(spec.Plugins, syncrun.Plugin{Plugin: p, Guard: config.DefaultChangeGuard()})
	}
	spec.Upload, spec.Dir = &config.Upload{Name: "everything", LastGood: true}, filepath.Dir(path)
	spec.Keep, spec.Retry = baseline.At(path), policy.Retries{MaxAttempts: 1}
	result, err := syncrun.Run(t.Context(), spec)
	if err != nil {
		return madeSync{}, err
	}
	require.NoError(t, spec.Keep.Replace(result.Draft, result.Sync))
	return madeSync{spec.Keep, path, result}, nil
}

// copied is the baseline in another directory.
func copied(t testing.TB, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "sync.c1z")
	for _, suffix := range []string{"", ".json"} {
		data, err := os.ReadFile(from + suffix)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to+suffix, data, 0o600))
	}
	return to
}

// TestFallback_SecondUploadHasTheSameRows fails an app that has not changed at a call of
// its second sync, in both ways: the rows are those of the first, field by field, beside
// those that the other app has now. TestLongFallback_SecondUploadHasTheSameRows takes each
// call.
func TestFallback_SecondUploadHasTheSameRows(t *testing.T) {
	t.Parallel()
	if raced.IsShort() {
		theSecondUpload(t, map[c1zstore.Engine]map[codes.Code]choice{c1zstore.EnginePebble: {codes.Unavailable: halfway, codes.FailedPrecondition: halfway}})
		return
	}
	theSecondUpload(t, map[c1zstore.Engine]map[codes.Code]choice{
		c1zstore.EnginePebble: {codes.Unavailable: firstOfEach, codes.FailedPrecondition: lastOfEach},
		c1zstore.EngineSQLite: {codes.Unavailable: halfway, codes.FailedPrecondition: halfway},
	})
}

// halfway is one call in the middle.
func halfway(c *calls) []int64 { return []int64{int64(len(c.methods) / 2)} }

func theSecondUpload(t *testing.T, at map[c1zstore.Engine]map[codes.Code]choice) {
	t.Helper()
	one := portal(t)
	for engine, by := range at {
		for _, kind := range []struct {
			name string
			code codes.Code
		}{{"H7: the app is lost", codes.Unavailable}, {"G4: the listing is rejected", codes.FailedPrecondition}} {
			t.Run(fmt.Sprintf("%s/%s", kind.name, engine), func(t *testing.T) {
				t.Parallel()
				made := &calls{}
				spec := syncrun.Spec{Engine: engine}
				plugins := func(others int, interfere ...interference) []aggregate.Plugin {
					return []aggregate.Plugin{
						{Instance: "c", Namespace: "c", Conn: serve(t, one, interfere...), ReadAhead: others % 3},
						{Instance: "b", Namespace: "b", Conn: serve(t, users(others))},
					}
				}
				first, err := makeSync(t, filepath.Join(t.TempDir(), "sync.c1z"), plugins(3, made.note), spec)
				require.NoError(t, err)
				require.Greater(t, len(made.methods), 15)
				require.Empty(t, first.result.Stale)
				whole, err := makeSync(t, filepath.Join(t.TempDir(), "sync.c1z"), plugins(4), spec)
				require.NoError(t, err)
				want := read(t, whole.path).lines(t, "-")
				require.Contains(t, strings.Join(want, "\n"), "Found admin")

				for i, n := range by[kind.code](made) {
					path := copied(t, first.path)
					second, err := makeSync(t, path, plugins(4, failsAt(n, kind.code)), spec)
					require.NoError(t, err, "failing at call %d of %d", n+1, len(made.methods))
					require.Equal(t, want, read(t, path).lines(t, "-"), "failing at call %d of %d", n+1, len(made.methods))
					require.Len(t, second.result.Stale, 1)
					require.Equal(t, "c", second.result.Stale[0].Instance)
					require.Equal(t, map[string]int{"c": 5, "b": 4}, second.result.Accounts)
					if i%6 != 0 {
						continue // To spare time.
					}
					_, err = makeSync(t, path, plugins(4, failsAt(n/2, kind.code)), spec)
					require.NoError(t, err)
					require.Equal(t, want, read(t, path).lines(t, "-"), "again, after call %d of %d", n+1, len(made.methods))
				}
			})
		}
	}
}

// TestFallback_RecordThatDoesNotKnowWhereRowsWereFound is of a version before: nothing is lost.
// TestLongFallback_RecordThatDoesNotKnowWhereRowsWereFound takes each call.
func TestFallback_RecordThatDoesNotKnowWhereRowsWereFound(t *testing.T) {
	t.Parallel()
	if raced.IsShort() {
		aRecordThatDoesNotKnow(t, map[int]choice{4: halfway})
		return
	}
	aRecordThatDoesNotKnow(t, map[int]choice{1: firstOfEach, 4: lastOfEach})
}

// aRecordThatDoesNotKnow takes the calls by the number of workers.
func aRecordThatDoesNotKnow(t *testing.T, at map[int]choice) {
	t.Helper()
	one := portal(t)
	for workers, choose := range at {
		t.Run(fmt.Sprintf("H7: %d workers", workers), func(t *testing.T) {
			t.Parallel()
			made := &calls{}
			before := firstGeneration(t, []aggregate.Plugin{{Instance: "c", Namespace: "c", Conn: serve(t, one, made.note)}}, workers)
			want := read(t, before.path).lines(t, "-")
			for _, n := range choose(made) {
				good := before.baseline(t, "c")
				require.Nil(t, good.Elsewhere)
				a := aggregateOf(t, []aggregate.Plugin{{Instance: "c", Namespace: "c", Baseline: good, Conn: serve(t, one, failsAt(n, codes.Unavailable))}})
				path, err := synced(t.Context(), t, a.Client(t.Context()), workers)
				require.NoError(t, err, "failing at call %d", n+1)
				require.Equal(t, want, read(t, path).lines(t, "-"), "failing at call %d", n+1)
				require.False(t, a.Stale()[0].Contradicted)
				require.Nil(t, a.Facts("c").Elsewhere, "it is not known any better")
			}
		})
	}
}

// TestBaseline_ReadsARecordOfAnOlderVersion as one that does not know.
func TestBaseline_ReadsARecordOfAnOlderVersion(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	plugins := func(interfere interference) []aggregate.Plugin {
		return []aggregate.Plugin{
			{Instance: "c", Namespace: "c", Conn: serve(t, portal(t), interfere)},
			{Instance: "b", Namespace: "b", Conn: serve(t, users(3))},
		}
	}
	path := filepath.Join(t.TempDir(), "sync.c1z")
	first, err := makeSync(t, path, plugins(failsFrom(1<<40, &calls, nil)), syncrun.Spec{})
	require.NoError(t, err)
	want := read(t, path).lines(t, "-")
	require.Equal(t, &baseline.Elsewhere{Entitlements: []string{"c.seat"}, Grants: []string{"c.duty", "c.job", "c.role", "c.seat"}},
		first.result.Sync.Plugins["c"].Elsewhere)

	written, err := os.ReadFile(path + ".json")
	require.NoError(t, err)
	old := regexp.MustCompile(`(?s),\s*"found_elsewhere": \{.*?\}`).ReplaceAll(written, nil)
	require.NotEqual(t, written, old)
	require.NoError(t, os.WriteFile(path+".json", old, 0o600))
	require.Nil(t, baseline.At(path).Known().Plugins["c"].Elsewhere)

	second, err := makeSync(t, path, plugins(failsAt(calls.Load()-1, codes.Unavailable)), syncrun.Spec{})
	require.NoError(t, err)
	require.Equal(t, want, read(t, path).lines(t, "-"))
	require.Nil(t, second.result.Sync.Plugins["c"].Elsewhere, "it is not known any better")
}

// TestFallback_RejectedListingLeavesNothingBehind: not in the file, not in a count, and not for
// the next sync to be compared with.
func TestFallback_RejectedListingLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for name, reject := range map[string]error{
		"G4: by its reader":                       status.Error(codes.FailedPrecondition, "the list does not end and is not used"),
		"G4: by its reader, as it changed":        status.Error(codes.Aborted, "the list changed and is not used"),
		"G4: by a check, as page tokens repeat":   nil,
		"G4: for an unknown reason":               status.Error(codes.Unknown, "odd"),
		"G4: as the page is gone":                 status.Error(codes.NotFound, "page lost"),
		"G4: as rows are missing":                 status.Error(codes.DataLoss, "fewer than there are"),
		"G4: as the page token is no longer good": status.Error(codes.InvalidArgument, "page token"),
	} {
		t.Run(name, func(t *testing.T) {
			raced.Sample(t, 4)
			t.Parallel()
			path := filepath.Join(t.TempDir(), "sync.c1z")
			plugins := func(n int, interfere ...interference) []aggregate.Plugin {
				return []aggregate.Plugin{
					{Instance: "a", Namespace: "a", Conn: serve(t, users(n), interfere...)},
					{Instance: "b", Namespace: "b", Conn: serve(t, users(3))},
				}
			}
			_, err := makeSync(t, path, plugins(30), syncrun.Spec{})
			require.NoError(t, err)
			before := read(t, path).lines(t, "-")

			const invented = 120
			var pages atomic.Int64
			seen := &log{}
			second, err := makeSync(t, path, plugins(invented, func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
				if method != listResources || pages.Add(1) <= invented/2-1 {
					return handler(ctx, request)
				}
				if reject != nil {
					return nil, reject
				}
				asked, ok := request.(*v2.ResourcesServiceListResourcesRequest)
				require.True(t, ok)
				answer, err := handler(ctx, request)
				if page, ok := answer.(*v2.ResourcesServiceListResourcesResponse); ok {
					page.SetNextPageToken(asked.GetPageToken())
				}
				return answer, err
			}), syncrun.Spec{Observer: seen})
			require.NoError(t, err)
			require.Equal(t, before, read(t, path).lines(t, "-"))
			require.Equal(t, map[string]int{"a": 30, "b": 3}, second.result.Accounts)
			require.Len(t, second.result.Stale, 1)
			require.Equal(t, 30, second.result.Stale[0].Accounts)
			require.Len(t, seen.fallbacks, 1)
			require.True(t, seen.fallbacks[0].Contradicted)

			third, err := makeSync(t, path, plugins(30), syncrun.Spec{})
			require.NoError(t, err, "the true ones are not too few")
			require.Empty(t, third.result.Stale)
			require.Equal(t, before, read(t, path).lines(t, "-"))
		})
	}
}

// TestBaseline_DoesNotCountWhatIsStale: an app that numbers everyone again, and is
// lost in the middle, is in the file twice. That is not what the next sync must keep.
func TestBaseline_DoesNotCountWhatIsStale(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sync.c1z")
	numbered := func(from, to int) *app {
		all := users(to)
		all.types[0].resources = all.types[0].resources[from:]
		return all
	}
	plugins := func(a *app, interfere ...interference) []aggregate.Plugin {
		return []aggregate.Plugin{{Instance: "a", Namespace: "a", Conn: serve(t, a, interfere...)}, {Instance: "b", Namespace: "b", Conn: serve(t, users(3))}}
	}
	_, err := makeSync(t, path, plugins(numbered(0, 30)), syncrun.Spec{})
	require.NoError(t, err)
	for i := range 3 { // Each time others, all of them but two.
		from := 100 * (i + 1)
		second, err := makeSync(t, path, plugins(numbered(from, from+30), failsAt(2+14, codes.Unavailable)), syncrun.Spec{})
		require.NoError(t, err)
		require.Equal(t, 30+28*(i+1), second.result.Accounts["a"])
		good, err := baseline.At(path).Open(t.Context(), t.TempDir())
		require.NoError(t, err)
		require.Equal(t, 30, good.Resources["a.user"])
		require.Equal(t, 30, good.Accounts["a.user"])
		require.Equal(t, 3, good.Accounts["b.user"])
		require.NoError(t, good.Close(t.Context()))
	}
	// Those who were there when the app was last read completely are all gone.
	third, err := makeSync(t, path, plugins(numbered(300, 330)), syncrun.Spec{})
	require.NoError(t, err)
	require.Len(t, third.result.Stale, 1)
	require.ErrorContains(t, third.result.Stale[0].Err, `no longer lists 30 of the 30 ids of type "a.user"`)
	fourth, err := makeSync(t, path, plugins(numbered(0, 28)), syncrun.Spec{})
	require.NoError(t, err)
	require.Equal(t, 28, fourth.result.Accounts["a"])
	require.Empty(t, fourth.result.Stale, "and the others were never read completely")
}

// onEnd is no limit, and is called at the end of each listing.
type onEnd func()

func (e onEnd) BeginListing(context.Context) (func(), error) { return e, nil }

// TestFallback_FreshGrantsGoBeforeStoredOnes, wherever they were listed; those of resources that
// are gone do not come back.
func TestFallback_FreshGrantsGoBeforeStoredOnes(t *testing.T) {
	t.Parallel()
	before := clubs(t)
	path := filepath.Join(t.TempDir(), "sync.c1z")
	plugins := func(a *app, interfere ...interference) []aggregate.Plugin {
		return []aggregate.Plugin{{Instance: "a", Namespace: "a", Conn: serve(t, a, interfere...)}, {Instance: "b", Namespace: "b", Conn: serve(t, users(3))}}
	}
	_, err := makeSync(t, path, plugins(before), syncrun.Spec{})
	require.NoError(t, err)

	after := clubs(t)
	club := after.types[1]
	club.pageSize = 1
	for _, rows := range club.grants {
		rows[0].SetAnnotations(annotations.New(&v2.GrantImmutable{}))
	}
	club.grants["c0"] = club.grants["c0"][:1] // One of two is revoked.
	// c0 to its end, which is one page, and the first of the two pages of c1. What is
	// asked for beside them fails once they have arrived.
	arrived, lost := make(chan struct{}), make(chan struct{})
	lose := sync.OnceFunc(func() { close(lost) })
	var asked atomic.Bool
	limit := onEnd(func() {
		if asked.CompareAndSwap(true, false) {
			close(arrived)
		}
	})
	second := plugins(after, func(ctx context.Context, _ string, request any, handler grpc.UnaryHandler) (any, error) {
		grants, ok := request.(*v2.GrantsServiceListGrantsRequest)
		if !ok {
			return handler(ctx, request)
		}
		wait := lost
		switch grants.GetResource().GetId().GetResource() {
		case "c0":
			asked.Store(true) // The next listing that ends is this one: the others wait.
			return handler(ctx, request)
		case "c1":
			if grants.GetPageToken() != "" {
				lose()
				return nil, status.Error(codes.Unavailable, "lost")
			}
			wait = arrived
		}
		select {
		case <-wait:
		case <-ctx.Done():
		}
		if wait == arrived {
			return handler(ctx, request)
		}
		return nil, status.Error(codes.Unavailable, "lost")
	})
	second[0].Listings = limit
	_, err = makeSync(t, path, second, syncrun.Spec{})
	require.NoError(t, err)
	immutable := map[string]bool{}
	for _, row := range read(t, path).grants {
		annos := annotations.Annotations(row.GetAnnotations())
		immutable[row.GetId()] = annos.Contains(&v2.GrantImmutable{})
	}
	fresh := 0
	for _, is := range immutable {
		if is {
			fresh++
		}
	}
	require.Equal(t, 2, fresh, "%v", immutable)
	require.Len(t, immutable, 5, "%v", immutable)
}
