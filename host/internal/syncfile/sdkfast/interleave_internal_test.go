package sdkfast

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/connectorstore"
	"github.com/conductorone/baton-sdk/pkg/sync"
	"github.com/stretchr/testify/require"
)

// newSparing is a store with so many resources of each type; a type whose name ends
// in "user" has no entitlements or grants.
func newSparing(t *testing.T, rows map[string]int) *Store {
	t.Helper()
	ctx := t.Context()
	store, sparing, err := OpenStore(ctx, filepath.Join(t.TempDir(), "new.c1z"), t.TempDir(), "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close(ctx)) })
	_, err = store.StartNewSync(ctx, connectorstore.SyncTypeFull, "")
	require.NoError(t, err)
	sparing.BeginStep(sync.Action{Op: sync.SyncResourcesOp})
	for id, n := range rows {
		resourceType := connectorv2.ResourceType_builder{Id: id, DisplayName: id}.Build()
		if strings.HasSuffix(id, "user") {
			resourceType.SetAnnotations(annotations.New(&connectorv2.SkipEntitlementsAndGrants{}))
		}
		require.NoError(t, store.PutResourceTypes(ctx, resourceType))
		var all []*connectorv2.Resource
		for i := range n {
			all = append(all, connectorv2.Resource_builder{Id: connectorv2.ResourceId_builder{ResourceType: id, Resource: fmt.Sprintf("r%06d", i)}.Build()}.Build())
		}
		require.NoError(t, store.PutResources(ctx, all...))
	}
	sparing.BeginStep(sync.Action{Op: sync.SyncGrantsOp})
	return sparing
}

// looked reads all that the syncer would look through, by "type/id", and returns it
// with the number of pages.
func looked(t *testing.T, store *Store) (all []string, pages int) {
	t.Helper()
	for token := ""; ; {
		page, err := store.ListResources(t.Context(), connectorv2.ResourcesServiceListResourcesRequest_builder{PageToken: token}.Build())
		require.NoError(t, err)
		for _, row := range page.GetList() {
			all = append(all, row.GetId().GetResourceType()+"/"+row.GetId().GetResource())
		}
		pages++
		if token = page.GetNextPageToken(); token == "" {
			return all, pages
		}
	}
}

func TestStore_Interleaves(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		rows map[string]int
	}{
		{"nothing", nil},
		{"only accounts", map[string]int{"a.user": 3, "b.user": 5}},
		{"one plugin", map[string]int{"a.group": 7, "a.role": 3, "a.user": 4}},
		{"equal plugins", map[string]int{"a.group": 750, "b.group": 750, "c.group": 750, "d.group": 750}},
		{"unequal plugins", map[string]int{"a.group": 1000, "a.user": 50, "b.group": 10, "b.role": 90, "c.x": 1}},
		{"without a namespace", map[string]int{"group": 20, "role": 10, "b.group": 30}},
		{"a type without a resource", map[string]int{"a.group": 20, "a.none": 0, "a.role": 5, "b.none": 0}},
		{"several pages", map[string]int{"a.group": 21_000, "a.role": 10, "b.group": 4_000, "c.group": 1}},
	} {
		t.Run("H2: "+tc.name, func(t *testing.T) {
			t.Parallel()
			all, pages := looked(t, newSparing(t, tc.rows))
			plugins, want := map[string]int{}, 0
			for id, n := range tc.rows {
				if !strings.HasSuffix(id, "user") {
					namespace, _, _ := strings.Cut(id, ".")
					plugins[namespace] += n
					want += n
				}
			}
			require.Len(t, all, want)
			require.LessOrEqual(t, pages, want/interleavedPage+3)

			read, last := map[string]int{}, map[string]string{}
			for i, one := range all {
				namespace, _, _ := strings.Cut(strings.Split(one, "/")[0], ".")
				require.Less(t, last[namespace], one, "within a plugin the order is the store's, and nothing comes twice")
				read[namespace], last[namespace] = read[namespace]+1, one
				for name, total := range plugins {
					due := float64(total) * float64(i+1) / float64(want)
					require.InDelta(t, due, read[name], 3+float64(pages), "of %s, after %d of %d", name, i+1, want)
				}
			}
		})
	}
}
