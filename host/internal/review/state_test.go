package review

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestStore_ReadsFilesOfEarlierVersions: the directories are those that hosts of these
// versions wrote, and are not to be written again.
func TestStore_ReadsFilesOfEarlierVersions(t *testing.T) {
	t.Parallel()
	versions, err := filepath.Glob("testdata/state/v*")
	require.NoError(t, err)
	require.NotEmpty(t, versions)
	for _, version := range versions {
		t.Run(filepath.Base(version), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(dir, os.DirFS(version)))
			store := At(filepath.Join(dir, "workforce.c1z"))
			refusedAt := time.Date(2026, 11, 29, 11, 47, 49, 965401484, time.UTC)
			store.now = func() time.Time { return refusedAt.Add(time.Hour) }

			found, err := store.Open(t.Context(), t.TempDir())
			require.NoError(t, err)
			require.Equal(t, "1beebc8e", found.ID)
			require.Equal(t, refusedAt, found.At)
			require.Equal(t, []Reason{{"a", "too few"}}, found.Reasons)
			changes := map[Kind]int{}
			require.NoError(t, found.Each(t.Context(), func(one Change) error { changes[one.Kind]++; return nil }))
			require.Equal(t, map[Kind]int{Removed: 16, Ungranted: 1}, changes)
			require.NoError(t, found.Close(t.Context()))

			approval, err := store.Approval()
			require.NoError(t, err)
			require.Len(t, approval.Plugins, 1)
			require.Equal(t, "ada (process 4711)", approval.Plugins[0].By)
			keys := 0
			require.NoError(t, eachKey(store.path+approvedRecord, &Approval{}, func(plugin string, _ digest) error {
				require.Equal(t, "a", plugin)
				keys++
				return nil
			}))
			require.Equal(t, 16, keys)
			_, err = store.Approve(t.Context(), found.ID, time.Hour, "grace")
			require.NoError(t, err)
		})
	}
}
