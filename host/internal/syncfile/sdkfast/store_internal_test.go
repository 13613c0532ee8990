package sdkfast

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/connectorstore"
	"github.com/conductorone/baton-sdk/pkg/sync"
	"github.com/stretchr/testify/require"
)

// begun returns a store whose sync has come to its resources, of types without
// entitlements, and the path of its file.
func begun(t *testing.T, types ...string) (_ *Store, path string) {
	t.Helper()
	ctx := t.Context()
	path = filepath.Join(t.TempDir(), "new.c1z")
	_, store, err := OpenStore(ctx, path, t.TempDir(), "")
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
	return store, path
}

// unpackedAt opens a file at its finished full sync.
func unpackedAt(t *testing.T, path string) (_ *Unpacked, syncID string) {
	t.Helper()
	file, err := Unpack(t.Context(), path, filepath.Join(t.TempDir(), "unpacked"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	latest, err := file.SyncMeta().LatestFinishedSyncOfAnyType(t.Context())
	require.NoError(t, err)
	require.Equal(t, connectorstore.SyncTypeFull, latest.Type)
	require.NoError(t, file.SetCurrentSync(t.Context(), latest.ID))
	return file, latest.ID
}

// requireHolds requires that a file holds so many resources of each type, and says so.
func requireHolds(t *testing.T, path string, want map[string]int64) *Unpacked {
	t.Helper()
	file, syncID := unpackedAt(t, path)
	rows, err := file.CountResources(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, rows)
	require.Equal(t, want, noted(t, file, syncID))
	return file
}

// noted returns how many resources of each type a file says it has.
func noted(t *testing.T, file *Unpacked, syncID string) map[string]int64 {
	t.Helper()
	stats, err := file.SyncMeta().StatsV2(t.Context(), connectorstore.SyncTypeAny, syncID)
	require.NoError(t, err)
	return stats.GetResourcesByResourceType()
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

// TestStore_CountsRowsAsTheyArePut: on one page, on several, again, and where the filter
// takes all for known.
func TestStore_CountsRowsAsTheyArePut(t *testing.T) {
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
			store, path := begun(t, "user", "unit", "empty")
			if full {
				for i := range store.put.bits {
					store.put.bits[i].Store(^uint64(0))
				}
			}
			for _, page := range pages {
				require.NoError(t, store.PutResources(t.Context(), page...))
			}
			store.finish(t)
			want := map[string]int64{"user": 4, "unit": 1}
			require.Equal(t, want, store.ResourcesPut())
			file := requireHolds(t, path, want)

			names := map[string]string{}
			page, err := file.ListResources(t.Context(), connectorv2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: "user"}.Build())
			require.NoError(t, err)
			for _, one := range page.GetList() {
				names[one.GetId().GetResource()] = one.GetDisplayName()
			}
			require.Equal(t, map[string]string{"a": "1", "b": "2", "c": "2", "d": "3"}, names, "the last one put counts")
		})
	}
}

// TestStore_CountsWhatWasPutWhateverTheFileHolds: a row that is lost behind the store's
// back is seen in the comparison of the three numbers, which package syncfile makes.
func TestStore_CountsWhatWasPutWhateverTheFileHolds(t *testing.T) {
	t.Parallel()
	held, put := map[string]int64{"user": 1}, map[string]int64{"user": 2}
	for name, one := range map[string]struct {
		uncounted bool
		noted     map[string]int64
	}{
		"counted by the store":  {false, put},
		"counted by the engine": {true, held},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, path := begun(t, "user")
			require.NoError(t, store.PutResources(t.Context(), row("user", "a", ""), row("user", "b", "")))
			require.NoError(t, store.syncerStore.DeleteResourceRecord(t.Context(), "user", "b"))
			store.uncounted.Store(one.uncounted)
			store.finish(t)
			require.Equal(t, put, store.ResourcesPut())
			file, syncID := unpackedAt(t, path)
			rows, err := file.CountResources(t.Context())
			require.NoError(t, err)
			require.Equal(t, held, rows)
			require.Equal(t, one.noted, noted(t, file, syncID))
		})
	}
}

// TestStore_LeavesToTheEngineWhatItDoesNotCount: then it counts itself.
func TestStore_LeavesToTheEngineWhatItDoesNotCount(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Store) error{
		"an asset": func(s *Store) error {
			return s.PutAsset(t.Context(), connectorv2.AssetRef_builder{Id: "icon"}.Build(), "image/png", []byte("x"))
		},
		"a resource that is removed": func(s *Store) error { return s.DeleteResourceRecord(t.Context(), "user", "a") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, path := begun(t, "user")
			require.NoError(t, store.PutResources(t.Context(), row("user", "a", ""), row("user", "b", "")))
			require.NoError(t, change(store))
			require.NoError(t, store.PutResources(t.Context(), row("user", "c", ""), row("user", "a", "")))
			store.finish(t)
			want := map[string]int64{"user": 3}
			if put := store.ResourcesPut(); put != nil {
				require.Equal(t, want, put)
			}
			requireHolds(t, path, want)
		})
	}
}

// TestStore_FlushesTheEnginesMemoryOnTheWay: not only when it holds 64 MiB.
func TestStore_FlushesTheEnginesMemoryOnTheWay(t *testing.T) {
	t.Parallel()
	store, path := begun(t, "user")
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
	want := map[string]int64{"user": pages * each}
	require.Equal(t, want, store.ResourcesPut())
	requireHolds(t, path, want)
}

// TestStore_ClosesBehindItsFlush: the engine reads in a flush what it writes when it is closed.
func TestStore_ClosesBehindItsFlush(t *testing.T) {
	t.Parallel()
	store, path := begun(t, "user")
	require.NoError(t, store.PutResources(t.Context(), row("user", "a", strings.Repeat("x", 1<<20))))
	require.NoError(t, store.EndSync(t.Context()))
	var hasFlushed atomic.Bool
	store.flusher.running <- struct{}{}
	go func() {
		defer func() { <-store.flusher.running }()
		_ = store.engine.Flush(context.WithoutCancel(t.Context()))
		hasFlushed.Store(true)
	}()
	require.NoError(t, store.Close(t.Context()))
	require.True(t, hasFlushed.Load())
	requireHolds(t, path, map[string]int64{"user": 1})
}
