package sdkfast

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"testing"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	readerv2 "github.com/conductorone/baton-sdk/pb/c1/reader/v2"
	"github.com/conductorone/baton-sdk/pkg/connectorstore"
	"github.com/conductorone/baton-sdk/pkg/dotc1z"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
	"github.com/conductorone/baton-sdk/pkg/sync"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

// granting returns a store whose sync has come to its grants: of a team to users.
func granting(t *testing.T) (_ *Store, path string) {
	t.Helper()
	store, path := begun(t, "user", "team")
	require.NoError(t, store.PutResources(t.Context(), row("team", "t", "Team"), row("user", "u", "User")))
	store.BeginStep(sync.Action{Op: sync.SyncGrantsOp})
	return store, path
}

func granted(team, user, note string) *connectorv2.Grant {
	made := grant.NewGrant(row("team", team, ""), "member", row("user", user, ""), grant.WithGrantMetadata(map[string]any{"note": note}))
	if note == "own id" {
		made.SetId("membership/" + user)
	}
	if note == "expandable" {
		grant.WithAnnotation(connectorv2.GrantExpandable_builder{EntitlementIds: []string{"team:" + user + ":member"}}.Build())(made)
	}
	return made
}

// grantees is how many users may have grants.
const grantees = 30

// grantsIn are all grants of a file, encoded, with what they expand from, and those of each
// principal by the index of principals.
func grantsIn(t *testing.T, store c1zstore.Store) []string {
	t.Helper()
	var all []string
	for one, err := range store.Grants().ListWithAnnotations(t.Context()) {
		require.NoError(t, err)
		encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(one.Grant)
		require.NoError(t, err)
		all = append(all, fmt.Sprintf("%s %x %v %v", one.GrantExternalID, encoded, one.NeedsExpansion, one.Annotation.GetEntitlementIds()))
	}
	for user := range grantees {
		page, err := store.ListGrantsForPrincipal(t.Context(), readerv2.GrantsReaderServiceListGrantsForPrincipalRequest_builder{
			PrincipalId: connectorv2.ResourceId_builder{ResourceType: "user", Resource: fmt.Sprint("u", user)}.Build(), PageSize: 10_000,
		}.Build())
		require.NoError(t, err)
		for _, one := range page.GetList() {
			all = append(all, fmt.Sprint("of ", user, ": ", one.GetId()))
		}
	}
	return all
}

// TestStore_PutsGrantsAsTheSDKWould: in pages at random, with repetitions on a page, across
// pages and across imports, changed in between, and where every grant is taken for one that
// is there, or all of them are repeated.
func TestStore_PutsGrantsAsTheSDKWould(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Store){
		"no import":                nil,
		"an import from half on":   func(s *Store) { s.grants.importFrom, s.grants.mostAgain = 50, 4 },
		"one import":               func(s *Store) { s.grants.importFrom = 0 },
		"several imports":          func(s *Store) { s.grants.importFrom, s.grants.segment, s.grants.mostAgain = 0, 30, 1_000_000 },
		"few may wait":             func(s *Store) { s.grants.importFrom, s.grants.mostAgain = 0, 3 },
		"both":                     func(s *Store) { s.grants.importFrom, s.grants.segment, s.grants.mostAgain = 0, 30, 5 },
		"a filter that is full":    func(s *Store) { s.grants.known.filters = []*idFilter{fullFilter()} },
		"a filter that begins":     func(s *Store) { s.grants.known.filters, s.grants.known.last = []*idFilter{newIDFilter()}, filterFull },
		"too many are repeated":    func(s *Store) { s.grants.repeated = mostRepeated + 1 },
		"another step in between":  func(s *Store) { s.grants.importFrom = 0 },
		"a removal in between":     func(s *Store) { s.grants.importFrom = 0 },
		"a reader in between":      func(s *Store) { s.grants.importFrom = 0 },
		"resources that are found": func(s *Store) { s.grants.importFrom = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chance := rand.New(rand.NewPCG(26, uint64(len(name)))) //nolint:gosec // No secret.
			ours, path := granting(t)
			theirs, theirPath := granting(t)
			if change != nil {
				change(ours)
			}
			const pages, each = 14, 12
			notes := []string{"", "changed", "own id", "expandable"}
			for page := range pages {
				rows := []*connectorv2.Grant{nil}
				for range each {
					rows = append(rows, granted(fmt.Sprint("t", chance.IntN(4)), fmt.Sprint("u", chance.IntN(grantees)), notes[chance.IntN(len(notes))]))
				}
				for i, store := range []interface {
					PutGrants(ctx context.Context, rows ...*connectorv2.Grant) error
				}{ours, theirs.syncerStore} {
					copies := make([]*connectorv2.Grant, len(rows))
					for i, row := range rows {
						copies[i] = proto.CloneOf(row)
					}
					require.NoError(t, store.PutGrants(t.Context(), copies...), "store %d", i)
				}
				if page != pages/2 {
					continue
				}
				switch name {
				case "another step in between":
					ours.BeginStep(sync.Action{Op: sync.SyncResourcesOp})
				case "a removal in between":
					require.NoError(t, ours.DeleteGrantByRefs(t.Context(), rows[1]))
					require.NoError(t, theirs.syncerStore.DeleteGrantByRefs(t.Context(), rows[1]))
				case "a reader in between":
					require.Equal(t, grantsIn(t, theirs.syncerStore), grantsIn(t, ours))
				case "resources that are found":
					for _, store := range []c1zstore.Store{ours, theirs.syncerStore} {
						require.NoError(t, store.PutResources(t.Context(), row("team", "t1", "Found"), row("team", "t", "Changed")))
					}
				}
			}
			put := ours.GrantsPut()
			ours.finish(t)
			require.NoError(t, theirs.syncerStore.EndSync(t.Context()))
			require.NoError(t, theirs.syncerStore.Close(t.Context()))
			got, want := reopened(t, path), reopened(t, theirPath)
			require.Equal(t, grantsIn(t, want), grantsIn(t, got))
			require.Equal(t, statsOf(t, want), statsOf(t, got))
			if name == "a removal in between" {
				require.Nil(t, put)
			} else {
				require.LessOrEqual(t, put["team"], statsOf(t, got)["grants"])
			}
			for _, digest := range []c1zstore.Store{want, got} {
				_, known, err := digest.(c1zstore.GrantGenerationDigestReader).GrantGenerationDigest(t.Context())
				require.NoError(t, err)
				require.True(t, known)
			}
		})
	}
}

func fullFilter() *idFilter {
	filter := newIDFilter()
	for i := range filter.bits {
		filter.bits[i].Store(^uint64(0))
	}
	return filter
}

func reopened(t *testing.T, path string) c1zstore.Store {
	t.Helper()
	store, err := dotc1z.NewStore(t.Context(), path, dotc1z.WithReadOnly(true), dotc1z.WithTmpDir(t.TempDir()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close(context.WithoutCancel(t.Context()))) })
	latest, err := store.SyncMeta().LatestFinishedSyncOfAnyType(t.Context())
	require.NoError(t, err)
	require.NoError(t, store.SetCurrentSync(t.Context(), latest.ID))
	return store
}

func statsOf(t *testing.T, store c1zstore.Store) map[string]int64 {
	t.Helper()
	latest, err := store.SyncMeta().LatestFinishedSyncOfAnyType(t.Context())
	require.NoError(t, err)
	stats, err := store.SyncMeta().Stats(t.Context(), connectorstore.SyncTypeAny, latest.ID)
	require.NoError(t, err)
	return stats
}

// TestStore_RefusesGrantsThatTheSDKRefuses: its import would leave them out.
func TestStore_RefusesGrantsThatTheSDKRefuses(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*connectorv2.Grant){
		"without an entitlement": func(g *connectorv2.Grant) { g.ClearEntitlement() },
		"without a resource":     func(g *connectorv2.Grant) { g.GetEntitlement().ClearResource() },
		"without a principal":    func(g *connectorv2.Grant) { g.ClearPrincipal() },
		"without its type":       func(g *connectorv2.Grant) { g.GetPrincipal().GetId().SetResourceType("") },
		"without its id":         func(g *connectorv2.Grant) { g.GetPrincipal().GetId().SetResource("") },
		"entitled to nothing":    func(g *connectorv2.Grant) { g.GetEntitlement().SetId("") },
	} {
		for way, importFrom := range map[string]int{"imported": 0, "not imported": 10} {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				store, _ := granting(t)
				store.grants.importFrom = importFrom
				spoiled := granted("t", "u", "")
				spoil(spoiled)
				want := store.syncerStore.PutGrants(t.Context(), proto.CloneOf(spoiled))
				require.Error(t, want)
				if err := store.PutGrants(t.Context(), granted("t", "u1", ""), spoiled); err != nil {
					require.EqualError(t, err, want.Error())
				}
				require.EqualError(t, store.EndSync(t.Context()), want.Error(), "at the latest")
				require.EqualError(t, store.PutGrants(t.Context(), granted("t", "u2", "")), want.Error(), "nothing goes on behind it")
				require.NoError(t, store.Close(t.Context()))
			})
		}
	}
}

// TestStore_LeavesNothingOfAnImportThatIsDropped: neither files nor goroutines that would
// write to them.
func TestStore_LeavesNothingOfAnImportThatIsDropped(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*Store){
		"closed":       func(*Store) {},
		"out of space": func(s *Store) { s.WaitForFlush() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, _ := granting(t)
			store.grants.importFrom, store.grants.segment = 0, 2
			for user := range 5 {
				require.NoError(t, store.PutGrants(t.Context(), granted("t", fmt.Sprint("u", user), "")))
			}
			end(store)
			require.NoError(t, store.Close(t.Context()))
			left, err := filepath.Glob(filepath.Join(store.grants.work, "pebble-bulk-import-*"))
			require.NoError(t, err)
			require.Empty(t, left)
			require.Error(t, store.PutGrants(t.Context(), granted("t", "late", "")))
		})
	}
}

// TestStore_SettlesBeforeGrantsAreRead: whatever of a store's methods is about grants, or
// about all that a file holds, is one of ours.
func TestStore_SettlesBeforeGrantsAreRead(t *testing.T) {
	t.Parallel()
	about := regexp.MustCompile("Grant|Stats|^(SyncMeta|FileOps|EndSync|Close)$")
	// Of how the SDK's store is, and not of what is in it.
	besides := []string{"GrantsForEntitlementPrincipalSorted"}
	asked, ours := reflect.TypeFor[syncerStore](), reflect.TypeFor[*Store]()
	var checked int
	for method := range asked.Methods() {
		name := method.Name
		if !about.MatchString(name) || slices.Contains(besides, name) {
			continue
		}
		own, ok := ours.MethodByName(name)
		require.True(t, ok)
		file, _ := runtime.FuncForPC(own.Func.Pointer()).FileLine(own.Func.Pointer())
		require.NotEqual(t, "<autogenerated>", file, "the store's %s is passed on: it would not see the grants that wait", name)
		checked++
	}
	require.Greater(t, checked, 15)
}

func TestGrantFilter_TakesNothingForNewThatWasAdded(t *testing.T) {
	t.Parallel()
	const many = 2_000
	filter, wrong := grantFilter{}, 0
	for n := range many {
		if n%500 == 0 && n > 0 {
			filter.last = filterFull // The next one begins another filter.
		}
		if !filter.addNew(granted("t", fmt.Sprint("u", n), "")) {
			wrong++
		}
	}
	require.Len(t, filter.filters, 4)
	require.Less(t, wrong, many/100, "it would spare nothing")
	for n := range many {
		require.False(t, filter.addNew(granted("t", fmt.Sprint("u", n), "another")))
	}
	for _, other := range []*connectorv2.Grant{granted("t2", "u1", ""), grant.NewGrant(row("team", "t", ""), "owner", row("user", "u1", "")), grant.NewGrant(row("team", "t", ""), "member", row("team", "u1", ""))} {
		require.True(t, filter.addNew(other), "%v", other)
	}
}
