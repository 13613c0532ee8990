package syncfile

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/connectorstore"
	"github.com/conductorone/baton-sdk/pkg/sync"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/files"
)

// begun is a spared store whose sync has come to its resources, of types without
// entitlements, and the draft that it becomes.
func begun(t *testing.T, types ...string) (*Store, *Draft) {
	t.Helper()
	ctx := t.Context()
	work, err := files.Make(t.TempDir(), workPrefix)
	require.NoError(t, err)
	draft := &Draft{path: filepath.Join(work.Path(), "new.c1z"), work: work, spared: true}
	_, store, err := OpenStore(ctx, draft.path, work.Path(), "")
	require.NoError(t, err)
	_, err = store.StartNewSync(ctx, connectorstore.SyncTypeFull, "")
	require.NoError(t, err)
	store.BeginStep(sync.Action{Op: sync.SyncResourceTypesOp})
	for _, id := range types {
		require.NoError(t, store.PutResourceTypes(ctx, connectorv2.ResourceType_builder{
			Id: id, Annotations: annotations.New(&connectorv2.SkipEntitlementsAndGrants{}),
		}.Build()))
	}
	store.BeginStep(sync.Action{Op: sync.SyncResourcesOp})
	return store, draft
}

func row(resourceType, id, name string) *connectorv2.Resource {
	return connectorv2.Resource_builder{
		Id: connectorv2.ResourceId_builder{ResourceType: resourceType, Resource: id}.Build(), DisplayName: name,
	}.Build()
}

func (p *Store) finish(t *testing.T) {
	t.Helper()
	require.NoError(t, p.EndSync(t.Context()))
	require.NoError(t, p.Close(t.Context()))
}

// TestRowsAreCountedAsTheyArePut: on one page, on several, again, and where the filter
// takes all for known.
func TestRowsAreCountedAsTheyArePut(t *testing.T) {
	t.Parallel()
	pages := [][]*connectorv2.Resource{
		{row("user", "a", "1"), row("user", "b", "1"), row("unit", "a", "1")},
		{},
		{row("user", "c", "1"), row("user", "b", "2"), row("user", "c", "2")},
		{row("user", "d", "1"), row("user", "d", "2"), row("user", "d", "3")},
	}
	for name, full := range map[string]bool{"a filter that knows": false, "a filter that is full": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, draft := begun(t, "user", "unit", "empty")
			if full {
				for i := range store.put.bits {
					store.put.bits[i].Store(^uint64(0))
				}
			}
			for _, page := range pages {
				require.NoError(t, store.PutResources(t.Context(), page...))
			}
			store.finish(t)
			draft.rows = store.ResourcesPut()
			require.NoError(t, draft.readBack(t.Context(), true))
			require.Equal(t, map[string]int{"user": 4, "unit": 1, "empty": 0}, draft.Resources)

			names := map[string]string{}
			file, err := openFinished(t.Context(), draft.path, draft.work.Path())
			require.NoError(t, err)
			page, err := file.ListResources(t.Context(), connectorv2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: "user"}.Build())
			require.NoError(t, err)
			for _, one := range page.GetList() {
				names[one.GetId().GetResource()] = one.GetDisplayName()
			}
			require.Equal(t, map[string]string{"a": "1", "b": "2", "c": "2", "d": "3"}, names, "the last one put counts")
			require.NoError(t, file.Close(t.Context()))
		})
	}
}

// TestAFileWithoutARowThatWasPutIsNoDraft: the rows are counted once more when the file
// is read back, and compared with what it says of itself and with what was put.
func TestAFileWithoutARowThatWasPutIsNoDraft(t *testing.T) {
	t.Parallel()
	for name, one := range map[string]struct {
		uncounted bool
		says      string
	}{
		"counted by us":         {false, "by resource type it holds map[user:1] resources, and says that it has map[user:2]"},
		"counted by the engine": {true, "by resource type it holds map[user:1] resources, and map[user:2] were written"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, draft := begun(t, "user")
			require.NoError(t, store.PutResources(t.Context(), row("user", "a", ""), row("user", "b", "")))
			require.NoError(t, store.syncerStore.DeleteResourceRecord(t.Context(), "user", "b"))
			store.uncounted.Store(one.uncounted)
			store.finish(t)
			draft.rows = store.ResourcesPut()
			require.EqualError(t, draft.readBack(t.Context(), true), "the sync file that was just written cannot be read back: "+one.says)
		})
	}
}

// TestWhatIsNotCountedIsLeftToTheEngine: then it counts itself.
func TestWhatIsNotCountedIsLeftToTheEngine(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Store) error{
		"an asset": func(s *Store) error {
			return s.PutAsset(t.Context(), connectorv2.AssetRef_builder{Id: "icon"}.Build(), "image/png", []byte("x"))
		},
		"a resource that is removed": func(s *Store) error { return s.DeleteResourceRecord(t.Context(), "user", "a") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, draft := begun(t, "user")
			require.NoError(t, store.PutResources(t.Context(), row("user", "a", ""), row("user", "b", "")))
			require.NoError(t, change(store))
			require.NoError(t, store.PutResources(t.Context(), row("user", "c", ""), row("user", "a", "")))
			store.finish(t)
			draft.rows = store.ResourcesPut()
			require.NoError(t, draft.readBack(t.Context(), true))
			require.Equal(t, map[string]int{"user": 3}, draft.Resources)
		})
	}
}

// TestTheEnginesMemoryIsFlushedOnTheWay: not only when it holds 64 MiB.
func TestTheEnginesMemoryIsFlushedOnTheWay(t *testing.T) {
	t.Parallel()
	store, draft := begun(t, "user")
	const pages, each = 40, 1000
	name := fmt.Sprintf("%01024d", 7) // a page is a little more than a MiB
	for page := range pages {
		rows := make([]*connectorv2.Resource, each)
		for i := range rows {
			rows[i] = row("user", fmt.Sprint(page, " ", i), name)
		}
		require.NoError(t, store.PutResources(t.Context(), rows...))
	}
	require.Eventually(t, func() bool { return store.engine.Metrics().Flush.Count > 0 }, time.Minute, time.Millisecond)
	store.finish(t)
	draft.rows = store.ResourcesPut()
	require.NoError(t, draft.readBack(t.Context(), true))
	require.Equal(t, map[string]int{"user": pages * each}, draft.Resources)
}
