package syncfile

import (
	"os"
	"path/filepath"
	"testing"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	v3 "github.com/conductorone/baton-sdk/pb/c1/storage/v3"
	"github.com/conductorone/baton-sdk/pkg/connectorstore"
	"github.com/conductorone/baton-sdk/pkg/dotc1z"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/engine/pebble"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/files"
)

// TestDraft_HoldsEveryRowThatWasPut: the rows are counted once more when the file is read
// back, and compared with what it says of itself and with what was put.
func TestDraft_HoldsEveryRowThatWasPut(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		noted  int64 // 0: as the engine counts
		put    map[string]int64
		grants map[string]int64
		want   string // empty: it is a draft
	}{
		"all":                   {0, map[string]int64{"user": 1}, map[string]int64{}, ""},
		"some were removed":     {0, nil, nil, ""},
		"counted by us":         {2, map[string]int64{"user": 2}, nil, "by resource type it holds map[user:1] resources, and says that it has map[user:2]"},
		"counted by the engine": {0, map[string]int64{"user": 2}, nil, "by resource type it holds map[user:1] resources, and map[user:2] were written"},
		"grants":                {0, map[string]int64{"user": 1}, map[string]int64{"user": 3}, `of resource type "user" it says that it has 0 grants, and at least 3 were written`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			work, err := files.Make(t.TempDir(), workPrefix)
			require.NoError(t, err)
			draft := &Draft{path: filepath.Join(work.Path(), "new.c1z"), work: work, spared: true, rows: tc.put, grants: tc.grants}
			store, err := dotc1z.NewStore(ctx, draft.path, dotc1z.WithTmpDir(work.Path()))
			require.NoError(t, err)
			id, err := store.StartNewSync(ctx, connectorstore.SyncTypeFull, "")
			require.NoError(t, err)
			require.NoError(t, store.PutResourceTypes(ctx, connectorv2.ResourceType_builder{Id: "user"}.Build(), connectorv2.ResourceType_builder{Id: "empty"}.Build()))
			require.NoError(t, store.PutResources(ctx, connectorv2.Resource_builder{
				Id: connectorv2.ResourceId_builder{ResourceType: "user", Resource: "a"}.Build(),
			}.Build()))
			if tc.noted > 0 {
				engine, ok := pebble.AsEngine(store)
				require.True(t, ok)
				engine.StashComputedSyncStats(id, v3.SyncStatsRecord_builder{
					ResourceTypes: 2, Resources: tc.noted, ResourcesByResourceType: map[string]int64{"user": tc.noted},
				}.Build())
			}
			require.NoError(t, store.EndSync(ctx))
			require.NoError(t, store.Close(ctx))

			err = draft.readBack(ctx, true)
			if tc.want == "" {
				require.NoError(t, err)
				require.Equal(t, map[string]int{"user": 1, "empty": 0}, draft.Resources)
				return
			}
			require.EqualError(t, err, "the sync file that was just written cannot be read back: "+tc.want)
		})
	}
}

// TestSweep_RemovesWhatDeadRunsLeft: what a run that was killed left behind goes, and a living run's stays.
func TestSweep_RemovesWhatDeadRunsLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "workforce.c1z"), nil, 0o600))
	want := []string{"workforce.c1z"}
	for _, prefix := range []string{workPrefix, readPrefix} {
		living, err := files.Make(dir, prefix)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, living.Remove()) })
		want = append(want, filepath.Base(living.Path()))
		// A copy has a lock file that no process has locked.
		dead, err := os.MkdirTemp(dir, prefix)
		require.NoError(t, err)
		require.NoError(t, os.CopyFS(dead, os.DirFS(living.Path())))
	}
	Sweep(dir)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var left []string
	for _, entry := range entries {
		left = append(left, entry.Name())
	}
	require.ElementsMatch(t, want, left)
}
