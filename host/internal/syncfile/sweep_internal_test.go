package syncfile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/files"
)

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
